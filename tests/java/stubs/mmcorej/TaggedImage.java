package mmcorej;

import org.json.JSONObject;

/** Pixels with their tags. */
public class TaggedImage {
  public final Object pix;
  public JSONObject tags;

  TaggedImage(Object pix, JSONObject tags) {
    this.pix = pix;
    this.tags = tags;
  }
}

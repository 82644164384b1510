package mmcorej;

import java.util.Map;
import java.util.TreeMap;

/** The tags of one frame, in the order and in the serialized form of Micro-Manager's core. */
public class Metadata {
  private final TreeMap<String, String> tags = new TreeMap<>();

  /** Sets a tag; its name is {@code name} or {@code device-name}, as the core qualifies it. */
  void put(String device, String name, String value) {
    tags.put(device.equals("_") ? name : device + "-" + name, device + "\n" + name + "\n" + value);
  }

  void clear() {
    tags.clear();
  }

  Map<String, String> values() {
    TreeMap<String, String> values = new TreeMap<>();
    tags.forEach((key, tag) -> values.put(key, tag.split("\n", 3)[2]));
    return values;
  }

  /** Returns the number of tags, then for each: kind, name, device, read-only, value, one a line. */
  public String Serialize() {
    StringBuilder text = new StringBuilder().append(tags.size()).append('\n');
    for (String tag : tags.values()) {
      String[] parts = tag.split("\n", 3);
      text.append("s\n").append(parts[1]).append('\n').append(parts[0]).append("\n1\n");
      text.append(parts[2]).append('\n');
    }
    return text.toString();
  }
}

package mmcorej;

import java.util.ArrayList;
import java.util.Collection;

/** A vector of texts with the two methods that clients of Micro-Manager use. */
public class StrVector {
  private final ArrayList<String> values;

  StrVector(Collection<String> values) {
    this.values = new ArrayList<>(values);
  }

  public long size() {
    return values.size();
  }

  public String get(int index) {
    return values.get(index);
  }
}

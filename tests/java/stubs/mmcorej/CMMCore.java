package mmcorej;

import java.awt.Rectangle;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.locks.LockSupport;
import org.json.JSONException;
import org.json.JSONObject;

/**
 * A simulated core with one camera whose frames carry their number, with Micro-Manager's names.
 *
 * <p>The circular buffer holds the frames' numbers only; a pop allocates and fills the frame's pixels, as the real
 * core's Java wrapping copies them from native memory. A test scripts faults with {@link #script}.
 */
public class CMMCore {
  private static final Map<String, int[]> FORMATS = new HashMap<>(); // bytes per pixel, components

  static {
    FORMATS.put("8bit", new int[] {1, 1});
    FORMATS.put("16bit", new int[] {2, 1});
    FORMATS.put("32bit", new int[] {4, 1});
    FORMATS.put("32bitRGB", new int[] {4, 4});
    FORMATS.put("64bitRGB", new int[] {8, 4});
  }

  private final Map<String, String> properties = new LinkedHashMap<>();
  private final Map<String, Long> faults = new HashMap<>();
  private final ArrayDeque<Long> buffer = new ArrayDeque<>();
  private final List<Object> hoard = new ArrayList<>();
  private final Map<String, Rectangle> regions = new HashMap<>(); // of cameras whose region differs
  private String[] combined = {}; // cameras of a Multi Camera
  private Rectangle roi;
  private final Rectangle sensor;
  private double exposureMs = 10;
  private int bufferMb = 64;
  private boolean running;
  private boolean overflowed;
  private Thread camera;
  private long pops;
  private Object template;

  public CMMCore() {
    this(512, 512);
  }

  CMMCore(int width, int height) {
    sensor = new Rectangle(0, 0, width, height);
    roi = new Rectangle(sensor);
    properties.put("Binning", "1");
    properties.put("PixelType", "16bit");
    properties.put("Gain", "1");
  }

  // --- what only tests call

  /** Sets the sensor's size, pixels; the region becomes the whole sensor. */
  public synchronized void setSensor(int width, int height) {
    sensor.setSize(width, height);
    roi = new Rectangle(sensor);
    template = null;
  }

  /** Puts the Multi Camera of Micro-Manager's Utilities in front of cameras, labels with commas. */
  public synchronized void combine(String labels) {
    combined = labels.split(",");
  }

  /** Gives one camera of a Multi Camera a region of its own. */
  public synchronized void setRegionOf(String label, int width, int height) {
    regions.put(label, new Rectangle(0, 0, width, height));
  }

  private boolean isMulti(String label) {
    return combined.length > 0 && label.equals("Multi");
  }

  /** Has the fault happen at the {@code at}th frame or pop, counted from 0; see where {@code due} is called. */
  public synchronized void script(String fault, int at) {
    faults.put(fault, (long) at);
  }

  /** Fills the heap until no more than about {@code mb} MB are free. */
  public void fillHeap(int mb) {
    Runtime runtime = Runtime.getRuntime();
    while (runtime.maxMemory() - runtime.totalMemory() + runtime.freeMemory() > mb * 1_000_000L) {
      hoard.add(new byte[500_000]);
    }
  }

  /** Throws an Error, which the server of a real Micro-Manager does not catch as it catches an Exception. */
  public String throwError() {
    throw new OutOfMemoryError("Java heap space");
  }

  /** Does not return for {@code ms} milliseconds. */
  public void block(int ms) throws InterruptedException {
    Thread.sleep(ms);
  }

  private boolean due(String fault, long now) {
    Long at = faults.get(fault);
    return at != null && at == now;
  }

  // --- the core and its devices

  public String getVersionInfo() {
    return "MMCore version 12.5.0 (stub)";
  }

  public String getCameraDevice() {
    return combined.length > 0 ? "Multi" : "Camera";
  }

  public String getDeviceLibrary(String label) {
    return isMulti(label) ? "Utilities" : "Stub";
  }

  public String getDeviceName(String label) {
    return isMulti(label) ? "Multi Camera" : "StubCamera";
  }

  public String getDeviceDescription(String label) {
    return "Camera of the stub core";
  }

  public void setIncludeSystemStateCache(boolean include) {}

  public StrVector getDevicePropertyNames(String label) {
    if (!isMulti(label)) {
      return new StrVector(properties.keySet());
    }
    List<String> names = new ArrayList<>();
    for (int i = 1; i <= combined.length + 1; i++) {
      names.add("Physical Camera " + i);
    }
    return new StrVector(names);
  }

  public String getProperty(String label, String name) throws Exception {
    if (isMulti(label) && name.startsWith("Physical Camera ")) {
      int place = Integer.parseInt(name.substring(16)) - 1;
      return place < combined.length ? combined[place] : "Undefined";
    }
    requireProperty(name);
    return properties.get(name);
  }

  public synchronized void setProperty(String label, String name, String value) throws Exception {
    requireProperty(name);
    properties.put(name, value);
    template = null;
  }

  private void requireProperty(String name) throws Exception {
    if (!properties.containsKey(name)) {
      throw new Exception("No property \"" + name + "\"");
    }
  }

  public StrVector getAllowedPropertyValues(String label, String name) {
    return new StrVector(name.equals("PixelType") ? FORMATS.keySet() : Arrays.asList());
  }

  public boolean hasPropertyLimits(String label, String name) {
    return false;
  }

  public boolean isPropertyReadOnly(String label, String name) {
    return false;
  }

  // --- camera settings

  public double getExposure() {
    return exposureMs;
  }

  public void setExposure(double ms) {
    exposureMs = ms;
  }

  public Rectangle getROI() {
    return new Rectangle(roi);
  }

  public Rectangle getROI(String label) {
    return new Rectangle(regions.getOrDefault(label, roi));
  }

  public synchronized void setROI(int x, int y, int width, int height) {
    roi = new Rectangle(x, y, width, height);
    template = null;
  }

  public synchronized void clearROI() {
    roi = new Rectangle(sensor);
    template = null;
  }

  public long getImageWidth() {
    return roi.width;
  }

  public long getImageHeight() {
    return roi.height;
  }

  public long getImageBitDepth() {
    return 8 * format()[0] / format()[1];
  }

  public long getBytesPerPixel() {
    return format()[0];
  }

  public long getNumberOfComponents() {
    return combined.length > 0 ? 1 : format()[1]; // the Multi Camera does not ask its cameras
  }

  public double getPixelSizeUm() {
    return 0;
  }

  private int[] format() {
    return FORMATS.get(properties.get("PixelType"));
  }

  // --- images

  public void snapImage() {}

  public synchronized Object getImage() {
    return frame(0, roi.width * roi.height);
  }

  public synchronized void setCircularBufferMemoryFootprint(int mb) {
    bufferMb = mb;
    buffer.clear();
  }

  public int getCircularBufferMemoryFootprint() {
    return bufferMb;
  }

  public synchronized void startSequenceAcquisition(int frames, double intervalMs, boolean stopOnOverflow)
      throws Exception {
    if (running) {
      throw new Exception("This operation can not be executed while sequence acquisition is running.");
    }
    if (faults.containsKey("start")) {
      throw new Exception("Error in device \"Camera\": the camera does not start");
    }
    buffer.clear();
    running = true;
    overflowed = false;
    pops = 0;
    camera = new Thread(() -> expose(frames), "stub-camera");
    camera.setDaemon(true);
    camera.start();
  }

  private void expose(int frames) {
    long start = System.nanoTime();
    for (long number = 0; number < frames; number++) {
      long due = start + (long) ((number + 1) * exposureMs * 1e6);
      for (long now = System.nanoTime(); now < due; now = System.nanoTime()) {
        LockSupport.parkNanos(due - now);
      }
      synchronized (this) {
        if (camera != Thread.currentThread()) {
          return;
        }
        if (due("camera", number)) {
          break;
        }
        if (buffer.size() + cameras() > capacity()) {
          overflowed = true;
          break;
        }
        for (long camera = 0; camera < cameras(); camera++) {
          if (!due("skip", number * cameras() + camera)) {
            buffer.add(number * cameras() + camera);
          }
        }
      }
    }
    synchronized (this) {
      running = running && camera != Thread.currentThread();
    }
  }

  private int cameras() {
    return Math.max(1, combined.length);
  }

  private long capacity() {
    return bufferMb * (1L << 20) / Math.max(1, (long) format()[0] * roi.width * roi.height);
  }

  public synchronized void stopSequenceAcquisition() {
    camera = null;
    running = false;
  }

  public synchronized boolean isSequenceRunning() {
    return running;
  }

  public synchronized int getRemainingImageCount() {
    return buffer.size();
  }

  public synchronized boolean isBufferOverflowed() {
    return overflowed;
  }

  public synchronized Object popNextImageMD(Metadata metadata) throws Exception {
    if (buffer.isEmpty()) {
      throw new Exception("Circular buffer is empty");
    }
    long pop = pops++;
    if (due("pop", pop)) {
      throw new Exception("Camera \"Camera\": the frame cannot be read");
    }
    if (due("empty", pop)) { // promises one more than it has
      throw new Exception("Circular buffer is empty");
    }
    long entry = buffer.remove();
    long number = entry / cameras();
    int of = (int) (entry % cameras());
    String label = combined.length > 0 ? combined[of] : "Camera";
    if (due("heap", pop)) {
      throw new OutOfMemoryError("Java heap space");
    }
    int pixels = roi.width * roi.height;
    metadata.clear();
    metadata.put("_", "Binning", "1");
    metadata.put("_", "Camera", label);
    metadata.put("_", "ElapsedTime-ms", String.valueOf(number * exposureMs));
    metadata.put("_", "Height", String.valueOf(roi.height));
    metadata.put("_", "ImageNumber", String.valueOf(number));
    metadata.put("_", "PixelType", pixelType());
    metadata.put("_", "TimeReceivedByCore", "2026-01-01 00:00:00.000000");
    metadata.put("_", "Width", String.valueOf(roi.width));
    metadata.put("PVCAM", "FrameNr", String.valueOf(number + 1));
    metadata.put("Camera", "Comment", "\u00b5m, \u6e29\u5ea6, a=1");
    if (due("text", pop)) {
      char[] value = new char[200_000];
      Arrays.fill(value, 'x');
      metadata.put("Camera", "Long", new String(value));
    }
    return frame(number + ((long) of << 56), due("large", pop) ? 2 * pixels : pixels);
  }

  public TaggedImage popNextTaggedImage() throws Exception {
    Metadata metadata = new Metadata();
    Object pixels = popNextImageMD(metadata);
    JSONObject tags = new JSONObject();
    for (Map.Entry<String, String> tag : metadata.values().entrySet()) {
      boolean whole = tag.getKey().equals("Width") || tag.getKey().equals("Height");
      putTag(tags, tag.getKey(), whole ? (Object) Integer.valueOf(tag.getValue()) : tag.getValue());
    }
    return new TaggedImage(pixels, tags);
  }

  private static void putTag(JSONObject tags, String name, Object value) {
    try {
      tags.put(name, value);
    } catch (JSONException e) {
      throw new IllegalStateException(e);
    }
  }

  private String pixelType() {
    int[] format = format();
    return format[1] == 1 ? "GRAY" + 8 * format[0] : "RGB" + 8 * format[0];
  }

  /** Returns a frame of which the first 8 components are the number's bytes, lowest first, and each row differs. */
  private Object frame(long number, int pixels) {
    int[] format = format();
    int components = pixels * format[1];
    if (format[0] / format[1] == 1) {
      byte[] frame = copy(template, components) ? ((byte[]) template).clone() : new byte[components];
      for (int i = 0; i < Math.min(8, components); i++) {
        frame[i] = (byte) (number >> 8 * i);
      }
      return frame;
    }
    if (format[0] / format[1] == 2) {
      short[] frame = copy(template, components) ? ((short[]) template).clone() : new short[components];
      for (int i = 0; i < Math.min(8, components); i++) {
        frame[i] = (short) (number >> 8 * i & 0xff);
      }
      return frame;
    }
    float[] frame = copy(template, components) ? ((float[]) template).clone() : new float[components];
    for (int i = 0; i < Math.min(8, components); i++) {
      frame[i] = number >> 8 * i & 0xff;
    }
    return frame;
  }

  /** Makes the picture that every frame of this format shows; false where it has another size. */
  private boolean copy(Object picture, int components) {
    if (picture == null) {
      int bytes = format()[0] / format()[1];
      byte[] small = new byte[bytes == 1 ? components : 0];
      short[] medium = new short[bytes == 2 ? components : 0];
      float[] large = new float[bytes == 4 ? components : 0];
      for (int i = 0; i < components; i++) {
        int value = (i * 31 + i / roi.width * 7) & 0xffff;
        if (bytes == 1) {
          small[i] = (byte) value;
        } else if (bytes == 2) {
          medium[i] = (short) value;
        } else {
          large[i] = value + 0.5f;
        }
      }
      template = bytes == 1 ? small : bytes == 2 ? medium : (Object) large;
    }
    return java.lang.reflect.Array.getLength(template) == components;
  }
}

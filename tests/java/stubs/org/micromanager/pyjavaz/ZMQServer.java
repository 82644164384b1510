package org.micromanager.pyjavaz;

import java.io.IOException;
import java.lang.reflect.Array;
import java.lang.reflect.Constructor;
import java.lang.reflect.Field;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.lang.reflect.Modifier;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.json.JSONArray;
import org.json.JSONException;
import org.json.JSONObject;

/**
 * A server that speaks pyjavaz's protocol as Micro-Manager's does, faults included: one thread for all clients, which
 * an {@code Error} outside of the called method ends without a word, and an {@code Error} of the called method that
 * is answered with an object.
 */
public class ZMQServer {
  private static final String VERSION = "5.1.0";

  private final Map<Integer, Object> objects = new HashMap<>();
  private final Object core;
  private final ReplySocket socket;

  public ZMQServer(int port, Object core) throws IOException {
    this.core = core;
    socket = new ReplySocket(port);
  }

  /** Starts the server's only thread. */
  public void start() {
    new Thread(this::serve, "stub-zmq-server").start();
  }

  private void serve() {
    while (true) {
      List<byte[]> parts = new ArrayList<>();
      parts.add(null); // the reply's place
      JSONObject reply;
      try {
        reply = execute(new JSONObject(new String(socket.receive(), StandardCharsets.ISO_8859_1)), parts);
      } catch (Exception e) {
        reply = exception(e);
      }
      parts.set(0, reply.toString().getBytes(StandardCharsets.ISO_8859_1));
      socket.send(parts);
    }
  }

  private static JSONObject exception(Exception e) {
    StringBuilder text = new StringBuilder(String.valueOf(e)).append('\n');
    for (StackTraceElement element : e.getStackTrace()) {
      text.append(" at ").append(element).append('\n');
    }
    return json("type", "exception", "value", text.toString());
  }

  private JSONObject execute(JSONObject request, List<byte[]> parts) throws Exception {
    switch (request.getString("command")) {
      case "connect":
        return json("type", "none", "version", VERSION);
      case "get-constructors":
        return json("type", "none", "api", constructors(request.getString("classpath")));
      case "constructor":
        return serialize(construct(request), parts);
      case "destructor":
        objects.remove(request.getInt("hash-code"));
        return json("type", "none");
      case "get-field":
        {
          Object object = objects.get(request.getInt("hash-code"));
          return serialize(object.getClass().getField(request.getString("name")).get(object), parts);
        }
      case "run-method":
        return serialize(run(request), parts);
      default:
        throw new RuntimeException("unknown command " + request.getString("command"));
    }
  }

  private JSONArray constructors(String name) throws JSONException {
    JSONArray api = new JSONArray();
    try {
      for (Constructor<?> constructor : Class.forName(name).getConstructors()) {
        api.put(json("name", name, "arguments", names(constructor.getParameterTypes())));
      }
    } catch (ClassNotFoundException e) {
      return api;
    }
    return api;
  }

  private Object construct(JSONObject request) throws Exception {
    Class<?> type = Class.forName(request.getString("classpath"));
    if (type.isInstance(core)) {
      return core;
    }
    Object[] arguments = arguments(request);
    for (Constructor<?> constructor : type.getConstructors()) {
      if (names(constructor.getParameterTypes()).toString().equals(request.getJSONArray("argument-types").toString())) {
        return constructor.newInstance(cast(arguments, constructor.getParameterTypes()));
      }
    }
    throw new RuntimeException("no such constructor of " + type);
  }

  private Object run(JSONObject request) throws Exception {
    Object object = objects.get(request.getInt("hash-code"));
    String name = request.getString("name");
    String types = request.getJSONArray("argument-types").toString();
    for (Method method : object.getClass().getMethods()) {
      if (method.getName().equals(name) && names(method.getParameterTypes()).toString().equals(types)) {
        try {
          return method.invoke(object, cast(arguments(request), method.getParameterTypes()));
        } catch (InvocationTargetException e) {
          if (e.getCause() instanceof Exception) {
            throw (Exception) e.getCause();
          }
          return e.getCause();
        }
      }
    }
    throw new RuntimeException("no such method: " + name);
  }

  private Object[] arguments(JSONObject request) throws JSONException {
    JSONArray given = request.getJSONArray("arguments");
    Object[] arguments = new Object[given.length()];
    for (int i = 0; i < arguments.length; i++) {
      Object argument = given.get(i);
      boolean shadow = argument instanceof JSONObject;
      arguments[i] = shadow ? objects.get(((JSONObject) argument).getInt("hash-code")) : argument;
    }
    return arguments;
  }

  private static Object[] cast(Object[] arguments, Class<?>[] types) {
    for (int i = 0; i < arguments.length; i++) {
      if (arguments[i] instanceof Number) {
        Number number = (Number) arguments[i];
        if (types[i] == int.class) {
          arguments[i] = number.intValue();
        } else if (types[i] == long.class) {
          arguments[i] = number.longValue();
        } else if (types[i] == double.class) {
          arguments[i] = number.doubleValue();
        }
      }
    }
    return arguments;
  }

  private JSONObject serialize(Object value, List<byte[]> parts) throws Exception {
    if (value == null) {
      return json("type", "none");
    }
    if (value instanceof String) {
      return json("type", "string", "value", value);
    }
    if (value instanceof Number || value instanceof Boolean) {
      return json("type", "primitive", "value", value);
    }
    if (value instanceof JSONObject) {
      return json("type", "object", "class", "JSONObject", "value", value.toString());
    }
    Class<?> type = value.getClass();
    int hash = System.identityHashCode(value);
    if (type.isArray() && type.getComponentType().isPrimitive()) {
      parts.add(ByteBuffer.allocate(4).order(ByteOrder.nativeOrder()).putInt(hash).array());
      parts.add(bytes(value));
      return json(
          "type", type.getComponentType() + "-array", "value", "[@" + Integer.toHexString(hash));
    }
    objects.put(hash, value);
    Set<String> interfaces = new LinkedHashSet<>();
    for (Class<?> each = type; each != null; each = each.getSuperclass()) {
      interfaces.add(each.getName());
      for (Class<?> implemented : each.getInterfaces()) {
        interfaces.add(implemented.getName());
      }
    }
    JSONArray fields = new JSONArray();
    for (Field field : type.getFields()) {
      if (!Modifier.isStatic(field.getModifiers())) {
        fields.put(field.getName());
      }
    }
    JSONArray api = new JSONArray();
    for (Method method : type.getMethods()) {
      JSONArray parameters = names(method.getParameterTypes());
      String returned = method.getReturnType().getCanonicalName();
      api.put(json("name", method.getName(), "arguments", parameters, "return-type", returned));
    }
    JSONObject reply = json("type", "unserialized-object", "class", type.getName(), "hash-code", hash);
    return reply.put("port", 0).put("interfaces", new JSONArray(interfaces)).put("fields", fields).put("api", api);
  }

  private static byte[] bytes(Object array) {
    int size = array instanceof byte[] ? 1 : array instanceof short[] ? 2 : 4;
    ByteBuffer buffer = ByteBuffer.allocate(Array.getLength(array) * size);
    buffer.order(ByteOrder.nativeOrder());
    if (array instanceof byte[]) {
      buffer.put((byte[]) array);
    } else if (array instanceof short[]) {
      buffer.asShortBuffer().put((short[]) array);
    } else if (array instanceof float[]) {
      buffer.asFloatBuffer().put((float[]) array);
    } else {
      buffer.asIntBuffer().put((int[]) array);
    }
    return buffer.array();
  }

  private static JSONArray names(Class<?>[] types) {
    JSONArray names = new JSONArray();
    for (Class<?> type : types) {
      names.put(type.getCanonicalName());
    }
    return names;
  }

  private static JSONObject json(Object... pairs) {
    JSONObject object = new JSONObject();
    try {
      for (int i = 0; i < pairs.length; i += 2) {
        object.put((String) pairs[i], pairs[i + 1]);
      }
    } catch (JSONException e) {
      throw new IllegalArgumentException(e);
    }
    return object;
  }
}

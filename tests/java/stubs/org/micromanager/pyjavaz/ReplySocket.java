package org.micromanager.pyjavaz;

import java.io.BufferedInputStream;
import java.io.BufferedOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.LinkedBlockingQueue;

/** A ZeroMQ socket of type REP (ZMTP 3.0, mechanism NULL) for any number of clients, which are served in turn. */
class ReplySocket {
  private static final int MORE = 1;
  private static final int LONG = 2;
  private static final int COMMAND = 4;
  private static final int GREETING_BYTES = 64;

  /** A request, and the client that waits for its reply. */
  private static final class Request {
    final byte[] body;
    final DataOutputStream client;

    Request(byte[] body, DataOutputStream client) {
      this.body = body;
      this.client = client;
    }
  }

  private final LinkedBlockingQueue<Request> requests = new LinkedBlockingQueue<>();
  private final ServerSocket listener;
  private DataOutputStream waiting;

  ReplySocket(int port) throws IOException {
    listener = new ServerSocket(port, 50, InetAddress.getByName("127.0.0.1"));
    startThread(this::accept);
  }

  byte[] receive() throws InterruptedException {
    Request request = requests.take();
    waiting = request.client;
    return request.body;
  }

  void send(List<byte[]> parts) {
    try {
      writeFrame(waiting, MORE, new byte[0]);
      for (int i = 0; i < parts.size(); i++) {
        writeFrame(waiting, i + 1 < parts.size() ? MORE : 0, parts.get(i));
      }
      waiting.flush();
    } catch (IOException e) {
      // The client has gone.
    }
  }

  private void accept() {
    while (true) {
      try {
        Socket client = listener.accept();
        client.setTcpNoDelay(true);
        startThread(() -> read(client));
      } catch (IOException e) {
        return;
      }
    }
  }

  private void read(Socket client) {
    try (Socket closed = client) {
      DataInputStream in = new DataInputStream(new BufferedInputStream(client.getInputStream(), 1 << 16));
      DataOutputStream out = new DataOutputStream(new BufferedOutputStream(client.getOutputStream(), 1 << 16));
      byte[] greeting = new byte[GREETING_BYTES];
      greeting[0] = (byte) 0xff;
      greeting[9] = 0x7f;
      greeting[10] = 3;
      System.arraycopy(ascii("NULL"), 0, greeting, 12, 4);
      out.write(greeting);
      out.flush();
      in.readFully(greeting);
      writeFrame(out, COMMAND, ascii("\5READY\13Socket-Type\0\0\0\3REP"));
      out.flush();
      List<byte[]> parts = new ArrayList<>();
      while (true) {
        int flags = in.readUnsignedByte();
        byte[] body = new byte[(flags & LONG) != 0 ? (int) in.readLong() : in.readUnsignedByte()];
        in.readFully(body);
        if ((flags & COMMAND) != 0) {
          continue;
        }
        parts.add(body);
        if ((flags & MORE) == 0) {
          requests.add(new Request(parts.get(1), out)); // behind the empty delimiter
          parts.clear();
        }
      }
    } catch (IOException e) {
      // The client has gone.
    }
  }

  private static void writeFrame(DataOutputStream out, int flags, byte[] body) throws IOException {
    boolean large = body.length > 255;
    out.writeByte(large ? flags | LONG : flags);
    if (large) {
      out.writeLong(body.length);
    } else {
      out.writeByte(body.length);
    }
    out.write(body);
  }

  private static byte[] ascii(String text) {
    return text.getBytes(StandardCharsets.US_ASCII);
  }

  private static void startThread(Runnable work) {
    Thread thread = new Thread(work, "stub-zmq");
    thread.setDaemon(true);
    thread.start();
  }
}

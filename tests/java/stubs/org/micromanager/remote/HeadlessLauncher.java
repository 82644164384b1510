package org.micromanager.remote;

import java.io.IOException;
import mmcorej.CMMCore;
import org.micromanager.pyjavaz.ZMQServer;

/**
 * Starts a core with a server as Micro-Manager's launcher does, which says STARTED before its server listens and does
 * not mind a port that is taken. Arguments: port, configuration, buffer MB, log. Properties: {@code stub.delay_ms}, how
 * long after STARTED the server binds its port; {@code stub.words}, how much it says then.
 */
public class HeadlessLauncher {
  public static void main(String[] arguments) throws Exception {
    CMMCore core = new CMMCore();
    core.setCircularBufferMemoryFootprint(Integer.parseInt(arguments[2]));
    System.out.println("STARTED");
    Thread.sleep(Long.getLong("stub.delay_ms", 0));
    try {
      new ZMQServer(Integer.parseInt(arguments[0]), core).start();
    } catch (IOException e) {
      // As the original: the process stays, and nobody can reach it.
      new Thread(HeadlessLauncher::stay).start();
      return;
    }
    System.out.println("LISTENING");
    for (int i = 0; i < Integer.getInteger("stub.words", 0); i++) {
      System.out.println("a driver has something to say");
    }
    System.out.flush();
  }

  private static void stay() {
    while (true) {
      try {
        Thread.sleep(1000);
      } catch (InterruptedException e) {
        return;
      }
    }
  }
}

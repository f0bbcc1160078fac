package dev.fluo.kms;

import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;

/** A TCP proxy that cuts what goes through it, when it is told to. */
public final class CutProxy implements AutoCloseable {
  private final ServerSocket server;
  private final Set<Socket> open = ConcurrentHashMap.newKeySet();
  private volatile String target;
  private volatile boolean isClosed;

  /** @param target {@code host:port}; connections are refused while it is null */
  public CutProxy(String target) throws IOException {
    this.target = target;
    this.server = new ServerSocket(0, 50, InetAddress.getLoopbackAddress());
    daemon(this::accept);
  }

  public String address() {
    return "127.0.0.1:" + server.getLocalPort();
  }

  /** Cuts each connection; later ones go to another target, or nowhere for null. */
  public void cut(String next) {
    target = next;
    for (Socket each : open) {
      try {
        each.setSoLinger(true, 0);
        each.close();
      } catch (IOException e) {
        // It is closed already.
      }
    }
    open.clear();
  }

  private void accept() {
    while (!isClosed) {
      try {
        Socket from = server.accept();
        String to = target;
        if (to == null) {
          from.setSoLinger(true, 0);
          from.close();
          continue;
        }
        Socket onward = new Socket(to.substring(0, to.indexOf(':')), Integer.parseInt(to.substring(to.indexOf(':') + 1)));
        open.add(from);
        open.add(onward);
        daemon(() -> copy(from, onward));
        daemon(() -> copy(onward, from));
      } catch (IOException e) {
        // Closed, or nobody is there to connect to.
      }
    }
  }

  private static void copy(Socket from, Socket to) {
    try (from;
        to) {
      InputStream in = from.getInputStream();
      OutputStream out = to.getOutputStream();
      in.transferTo(out);
    } catch (IOException e) {
      // Cut.
    }
  }

  private static void daemon(Runnable task) {
    Thread thread = new Thread(task, "cut-proxy");
    thread.setDaemon(true);
    thread.start();
  }

  @Override
  public void close() throws IOException {
    isClosed = true;
    server.close();
    cut(null);
  }
}

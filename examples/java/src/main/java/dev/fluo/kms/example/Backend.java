package dev.fluo.kms.example;

import com.sun.net.httpserver.HttpServer;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;

/** Stands in for a trace store: keeps what comes over OTLP/HTTP as one export. */
final class Backend implements AutoCloseable {
  private final HttpServer server;
  private final ByteArrayOutputStream export = new ByteArrayOutputStream();

  Backend() throws IOException {
    server = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
    server.createContext(
        "/v1/traces",
        exchange -> {
          byte[] spans = exchange.getRequestBody().readAllBytes();
          synchronized (export) {
            export.writeBytes(spans);
          }
          exchange.sendResponseHeaders(200, -1);
          exchange.close();
        });
    server.start();
  }

  String url() {
    return "http://127.0.0.1:" + server.getAddress().getPort() + "/v1/traces";
  }

  byte[] export() {
    synchronized (export) {
      return export.toByteArray();
    }
  }

  @Override
  public void close() {
    server.stop(0);
  }
}

package dev.demitasse.fetch;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import dev.demitasse.exception.FetchException;
import dev.demitasse.exception.UsageException;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.HexFormat;
import java.util.List;
import java.util.Random;
import java.util.concurrent.Executors;
import java.util.concurrent.atomic.AtomicInteger;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class DownloadTest {
    private final byte[] content = new byte[300_000];
    private final AtomicInteger ranges = new AtomicInteger();
    private String tag = "\"v1\"";
    private int failAfter = Integer.MAX_VALUE;
    private HttpServer server;

    @TempDir
    Path folder;

    @BeforeEach
    void start() throws IOException {
        new Random(1).nextBytes(content);
        server = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
        server.createContext("/file", this::serve);
        server.createContext("/circle", exchange -> redirect(exchange, "/circle"));
        server.createContext("/hop", exchange -> {
            exchange.getResponseHeaders().add("X-Linked-Etag", "\"" + hash(content) + "\"");
            exchange.getResponseHeaders().add("X-Linked-Size", String.valueOf(content.length));
            redirect(exchange, "/file");
        });
        server.createContext("/wrong", exchange -> {
            exchange.getResponseHeaders().add("X-Linked-Etag", "\"" + "0".repeat(64) + "\"");
            redirect(exchange, "/file");
        });
        server.setExecutor(Executors.newVirtualThreadPerTaskExecutor());
        server.start();
    }

    @AfterEach
    void stop() {
        server.stop(0);
    }

    private static void redirect(HttpExchange exchange, String to) throws IOException {
        exchange.getResponseHeaders().add("Location", to);
        exchange.sendResponseHeaders(302, -1);
        exchange.close();
    }

    private void serve(HttpExchange exchange) throws IOException {
        exchange.getResponseHeaders().add("ETag", tag);
        String range = exchange.getRequestHeaders().getFirst("Range");
        int from = 0;
        int status = 200;
        if (range != null && tag.equals(exchange.getRequestHeaders().getFirst("If-Range"))) {
            from = Integer.parseInt(range.replaceAll("bytes=(\\d+)-", "$1"));
            status = from >= content.length ? 416 : 206;
            ranges.incrementAndGet();
        }
        if (status == 416) {
            exchange.sendResponseHeaders(416, -1);
            exchange.close();
            return;
        }
        exchange.sendResponseHeaders(status, content.length - from);
        int end = (int) Math.min(content.length, (long) from + failAfter);
        exchange.getResponseBody().write(content, from, end - from);
        exchange.getResponseBody().flush();
        exchange.close();
    }

    private URI uri(String path) {
        return URI.create("http://127.0.0.1:" + server.getAddress().getPort() + path);
    }

    private static String hash(byte[] bytes) {
        try {
            return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(bytes));
        } catch (java.security.NoSuchAlgorithmException e) {
            throw new IllegalStateException(e);
        }
    }

    private static Transfer silent() {
        return (done, total) -> {};
    }

    private Path fetch(String path, long size, @Nullable String sha256) {
        Path target = folder.resolve("model.gguf");
        new Download(silent()).fetch(uri(path), target, size, sha256);
        return target;
    }

    @Test
    void fetchesFollowsRedirectsAndVerifies() throws IOException {
        assertThat(Files.readAllBytes(fetch("/hop", 0, null))).isEqualTo(content);
        assertThat(folder.toFile().list()).containsExactly("model.gguf");
    }

    @Test
    void goesOnWhereItWasInterrupted() throws IOException {
        failAfter = 100_000;
        assertThatThrownBy(() -> fetch("/file", content.length, hash(content)))
                .isInstanceOf(FetchException.class)
                .hasMessageContaining("goes on where it stopped");
        assertThat(folder.resolve("model.gguf")).doesNotExist();
        assertThat(folder.resolve("model.gguf.part")).exists();
        failAfter = Integer.MAX_VALUE;
        assertThat(Files.readAllBytes(fetch("/file", content.length, hash(content))))
                .isEqualTo(content);
        assertThat(ranges.get()).isEqualTo(1);
    }

    @Test
    void beginsAnewWhereTheServersFileChanged() throws IOException {
        failAfter = 100_000;
        assertThatThrownBy(() -> fetch("/file", 0, null)).isInstanceOf(FetchException.class);
        failAfter = Integer.MAX_VALUE;
        tag = "\"v2\"";
        Arrays.fill(content, (byte) 7);
        assertThat(Files.readAllBytes(fetch("/file", 0, null))).isEqualTo(content);
    }

    @Test
    void refusesAWrongHashAndAWrongSize() {
        assertThatThrownBy(() -> fetch("/file", content.length, "1".repeat(64)))
                .isInstanceOf(FetchException.class)
                .hasMessageContaining("SHA-256");
        assertThatThrownBy(() -> fetch("/wrong", 0, null))
                .isInstanceOf(FetchException.class)
                .hasMessageContaining("SHA-256");
        assertThatThrownBy(() -> fetch("/file", 5, null))
                .isInstanceOf(FetchException.class)
                .hasMessageContaining("300000 bytes; 5 were expected");
        assertThat(folder.resolve("model.gguf")).doesNotExist();
    }

    @Test
    void saysWhatAStatusMeans() {
        assertThatThrownBy(() -> fetch("/nothing", 0, null))
                .isInstanceOf(FetchException.class)
                .hasMessageContaining("404")
                .hasMessageContaining("no such file");
    }

    @Test
    void endsARedirectCircle() {
        assertThatThrownBy(() -> fetch("/circle", 0, null))
                .isInstanceOf(FetchException.class)
                .hasMessageContaining("circle");
    }

    @Test
    void saysHowMuchSpaceIsMissing() {
        Download download = new Download(silent(), any -> 1000);
        assertThatThrownBy(() -> download.fetch(uri("/file"), folder.resolve("model.gguf"), 0, null))
                .isInstanceOf(FetchException.class)
                .hasMessageContaining("MB free");
    }

    /** Where one is missing, the model is not there; files of another repository are not its own. */
    @Test
    void allFilesOfASplitModelAreFetched() throws IOException {
        List<String> asked = Collections.synchronizedList(new ArrayList<>());
        for (String repository : List.of("/o/r", "/p/r")) {
            server.createContext(repository + "/resolve/main/q4/", exchange -> {
                asked.add(exchange.getRequestURI().getPath().replaceAll("/(.)/.*-(\\d{5})-of.*", "$1$2"));
                serve(exchange);
            });
        }
        ModelCache cache = new ModelCache(folder, uri("/"));
        String model = "hf:o/r/q4/m-00001-of-00003.gguf";
        cache.fetch("hf:o/r/q4/m-00003-of-00003.gguf", silent());
        assertThat(asked).containsExactly("o00001", "o00002", "o00003");
        assertThat(cache.has(model)).isTrue();
        assertThat(cache.files()).containsExactly(folder.resolve("m-00001-of-00003.gguf"));
        assertThat(ModelCache.bytes(cache.files().getFirst())).isEqualTo(3L * content.length);
        assertThat(cache.resolve(model, Catalogue.load()))
                .isEqualTo(cache.files().getFirst());

        Files.delete(folder.resolve("m-00002-of-00003.gguf"));
        assertThat(cache.has(model)).isFalse();
        failAfter = 100_000;
        asked.clear();
        assertThatThrownBy(() -> cache.fetch(model, silent())).isInstanceOf(FetchException.class);
        failAfter = Integer.MAX_VALUE;
        assertThat(cache.fetch("hf:p/r/q4/m-00001-of-00003.gguf", silent())).hasBinaryContent(content);
        assertThat(asked).containsExactly("o00001", "p00001", "p00002", "p00003");
        Files.delete(folder.resolve("m-00003-of-00003.gguf"));
        asked.clear();
        assertThat(cache.fetch(model, silent())).hasBinaryContent(content);
        assertThat(asked).containsExactly("o00001", "o00002", "o00003");
        assertThat(ranges.get()).as("goes on where it stopped").isEqualTo(1);
        assertThat(folder.toFile().list()).hasSize(3).noneMatch(name -> name.startsWith("."));
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "hf:a/b/../c.gguf",
                "hf:../b/c.gguf",
                "hf:a/../c.gguf",
                "hf:a/b/.hidden.gguf",
                "hf:a/b/c.bin",
                "hf:a/b",
                "hf:a/b/c//d.gguf",
                "hf:a b/c/d.gguf"
            })
    void refusesNamesThatLeaveTheCache(String name) {
        assertThatThrownBy(() -> new ModelCache(folder).fetch(name, silent())).isInstanceOf(UsageException.class);
    }

    @Test
    void namesOnHuggingFaceBecomeAddresses() {
        assertThat(ModelCache.huggingFace("hf:Qwen/Qwen3-0.6B-GGUF/Qwen3-0.6B-Q8_0.gguf"))
                .hasToString("https://huggingface.co/Qwen/Qwen3-0.6B-GGUF/resolve/main/Qwen3-0.6B-Q8_0.gguf");
        assertThat(ModelCache.fileName("hf:a/b/q4/m-00001-of-00002.gguf")).isEqualTo("m-00001-of-00002.gguf");
    }
}

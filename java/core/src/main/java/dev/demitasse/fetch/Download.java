package dev.demitasse.fetch;

import dev.demitasse.exception.FetchException;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.file.AtomicMoveNotSupportedException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.time.Duration;
import java.util.HexFormat;
import java.util.Locale;
import java.util.Optional;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * Fetches a file over HTTP. What arrives goes to {@code NAME.part}; an interrupted download goes on from there, as long
 * as the server still has the same file. Size and hash are checked before the file gets its name.
 */
final class Download {
    private static final int MAXIMUM_REDIRECTS = 10;
    private static final int BUFFER_BYTES = 1 << 20;
    private static final Duration CONNECT_TIMEOUT = Duration.ofSeconds(20);
    private static final Duration RESPONSE_TIMEOUT = Duration.ofSeconds(60);
    private static final Pattern SHA256 = Pattern.compile("\"?([0-9a-f]{64})\"?");

    /** How much room a folder's file system has; another one in tests. */
    interface Space {
        long usable(Path folder) throws IOException;
    }

    private final HttpClient client = HttpClient.newBuilder()
            .connectTimeout(CONNECT_TIMEOUT)
            .followRedirects(HttpClient.Redirect.NEVER) // headers of every hop are needed
            .build();
    private final Transfer transfer;
    private final Space space;

    Download(Transfer transfer) {
        this(transfer, folder -> Files.getFileStore(folder).getUsableSpace());
    }

    Download(Transfer transfer, Space space) {
        this.transfer = transfer;
        this.space = space;
    }

    /** What the servers on the way said of the file. */
    private static final class Facts {
        long size;

        @Nullable
        String sha256;

        @Nullable
        String tag;
    }

    /**
     * Fetches {@code uri} to {@code target}.
     *
     * @param size bytes expected, or 0 where the server is believed
     * @param sha256 hash expected, or null where the server's is taken, if it states one
     * @throws FetchException where it fails, with what can be done; a partial file stays for the next try
     */
    void fetch(URI uri, Path target, long size, @Nullable String sha256) {
        Path part = target.resolveSibling(target.getFileName() + ".part");
        Path tagFile = target.resolveSibling(target.getFileName() + ".part.tag");
        Facts facts = new Facts();
        facts.size = size;
        facts.sha256 = sha256;
        try {
            Files.createDirectories(folder(target));
            receive(uri, part, tagFile, facts);
            verify(part, facts, uri);
            try {
                Files.move(part, target, StandardCopyOption.ATOMIC_MOVE);
            } catch (AtomicMoveNotSupportedException e) {
                Files.move(part, target, StandardCopyOption.REPLACE_EXISTING);
            }
            Files.deleteIfExists(tagFile);
        } catch (IOException e) {
            String reason = e.getMessage() == null ? e.toString() : e.getMessage();
            boolean full = reason.contains("No space left");
            throw new FetchException(
                    full
                            ? "The disk is full; free some space and pull again, it goes on where it stopped (" + part
                                    + ")."
                            : "Fetching " + uri + " failed: " + reason + ". Pull again, it goes on where it stopped.",
                    e);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new FetchException(
                    "Fetching " + uri + " was interrupted. Pull again, it goes on where it stopped.", e);
        }
    }

    private void receive(URI uri, Path part, Path tagFile, Facts facts) throws IOException, InterruptedException {
        long have = Files.exists(part) ? Files.size(part) : 0;
        String tag = have > 0 && Files.exists(tagFile) ? Files.readString(tagFile) : null;
        if (have > 0 && (tag == null || tag.isEmpty())) {
            have = 0; // nothing says that it is the same file
        }
        HttpResponse<InputStream> response = request(uri, have, tag, facts);
        boolean resumed = response.statusCode() == 206;
        if (response.statusCode() == 416) {
            response.body().close();
            if (have == facts.size && facts.size > 0) {
                return; // complete already
            }
            Files.delete(part);
            response = request(uri, 0, null, facts);
        } else if (!resumed) {
            have = 0;
        }
        try (InputStream in = response.body()) {
            if (response.statusCode() / 100 != 2) {
                throw new FetchException(failure(uri, response.statusCode()));
            }
            long length = response.headers().firstValueAsLong("content-length").orElse(-1);
            long total = length < 0 ? facts.size : have + length;
            if (facts.size > 0 && total != facts.size) {
                throw new FetchException("The server's file has " + total + " bytes; " + facts.size
                        + " were expected. It is another file; check the name.");
            }
            facts.size = total;
            requireSpace(folder(part), total - have);
            String newTag = facts.tag == null ? "" : facts.tag;
            Files.writeString(tagFile, newTag);
            copy(in, part, have, total);
        }
    }

    private static String failure(URI uri, int status) {
        String cure = switch (status) {
            case 401, 403 -> "the file needs an account or a licence that must be accepted on its page";
            case 404 -> "there is no such file; check owner, repository and file name";
            case 429 -> "the server asks to wait; try again later";
            default -> status >= 500 ? "the server has a problem; try again later" : "check the address";
        };
        return "Fetching " + uri + " failed with HTTP status " + status + ": " + cure + ".";
    }

    private HttpResponse<InputStream> request(URI uri, long from, @Nullable String tag, Facts facts)
            throws IOException, InterruptedException {
        URI at = uri;
        for (int hop = 0; hop <= MAXIMUM_REDIRECTS; hop++) {
            HttpRequest.Builder request =
                    HttpRequest.newBuilder(at).timeout(RESPONSE_TIMEOUT).header("User-Agent", "demitasse");
            if (from > 0 && tag != null) {
                request.header("Range", "bytes=" + from + "-").header("If-Range", tag);
            }
            HttpResponse<InputStream> response =
                    client.send(request.build(), HttpResponse.BodyHandlers.ofInputStream());
            note(response, facts);
            int status = response.statusCode();
            Optional<String> location = response.headers().firstValue("location");
            if (status < 300 || status >= 400 || status == 304 || location.isEmpty()) {
                return response;
            }
            response.body().close();
            URI next = at.resolve(location.get());
            if (!"https".equals(next.getScheme()) && !next.getScheme().equals(at.getScheme())) {
                throw new FetchException("The server redirects " + at + " to the insecure " + next + "; not followed.");
            }
            at = next;
        }
        throw new FetchException(
                "The server redirects " + uri + " more than " + MAXIMUM_REDIRECTS + " times, perhaps in a circle.");
    }

    /** Hugging Face states the size and the SHA-256 of large files with its redirect. */
    private static void note(HttpResponse<?> response, Facts facts) {
        response.headers().firstValue("x-linked-etag").ifPresent(value -> {
            var matcher = SHA256.matcher(value.toLowerCase(Locale.ROOT));
            if (facts.sha256 == null && matcher.matches()) {
                facts.sha256 = matcher.group(1);
            }
        });
        response.headers().firstValue("x-linked-size").ifPresent(value -> {
            if (facts.size == 0 && value.matches("\\d{1,18}")) {
                facts.size = Long.parseLong(value);
            }
        });
        facts.tag = response.headers()
                .firstValue("etag")
                .filter(tag -> !tag.startsWith("W/"))
                .orElse(facts.tag);
    }

    private static Path folder(Path file) {
        Path parent = file.toAbsolutePath().getParent();
        if (parent == null) {
            throw new FetchException(file + " is no file in a folder.");
        }
        return parent;
    }

    private void requireSpace(Path folder, long needed) throws IOException {
        long free = space.usable(folder);
        if (needed > free) {
            throw new FetchException("The file needs " + needed / 1_000_000 + " MB; the disk has " + free / 1_000_000
                    + " MB free. Free some space, or set DEMITASSE_CACHE to a folder on another disk.");
        }
    }

    private void copy(InputStream in, Path part, long have, long total) throws IOException {
        byte[] buffer = new byte[BUFFER_BYTES];
        StandardOpenOption how = have > 0 ? StandardOpenOption.APPEND : StandardOpenOption.TRUNCATE_EXISTING;
        long done = have;
        try (OutputStream out = Files.newOutputStream(part, StandardOpenOption.CREATE, StandardOpenOption.WRITE, how)) {
            for (int read = in.read(buffer); read >= 0; read = in.read(buffer)) {
                out.write(buffer, 0, read);
                done += read;
                transfer.moved(done, total);
            }
        }
        if (total > 0 && done != total) {
            throw new IOException("the connection ended after " + done + " of " + total + " bytes");
        }
    }

    private static void verify(Path part, Facts facts, URI uri) throws IOException {
        String expected = facts.sha256;
        if (expected == null) {
            return;
        }
        String actual = sha256(part);
        if (!actual.equals(expected)) {
            Files.delete(part);
            throw new FetchException("The file from " + uri + " has SHA-256 " + actual + "; " + expected
                    + " was expected. It was deleted; pull again.");
        }
    }

    static String sha256(Path file) throws IOException {
        try (InputStream in = Files.newInputStream(file)) {
            MessageDigest digest = MessageDigest.getInstance("SHA-256");
            byte[] buffer = new byte[BUFFER_BYTES];
            for (int read = in.read(buffer); read >= 0; read = in.read(buffer)) {
                digest.update(buffer, 0, read);
            }
            return HexFormat.of().formatHex(digest.digest());
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException(e);
        }
    }
}

package dev.demitasse.quantize;

import dev.demitasse.exception.UsageException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;

/**
 * What is known of a partial file, a line a piece behind a first line that tells all that decides its content. Whoever
 * has the journal open holds the lock on both; it is there before the partial file is, and goes after it.
 */
final class Journal implements AutoCloseable {
    /** What first lines begin with. */
    static final String MARK = "demitasse ";

    private static final int ATTEMPTS = 5;
    private static final int MOST_BYTES = 1 << 26;

    /** Journals that this process holds: a lock is a process's, and ends with any channel on its file. */
    private static final Set<Path> OPEN = ConcurrentHashMap.newKeySet();

    private final Path path;
    private final Path key;
    private final FileChannel channel;

    private Journal(Path path, Path key, FileChannel channel) {
        this.path = path;
        this.key = key;
        this.channel = channel;
    }

    /**
     * Opens and locks the journal.
     *
     * @param partial the file it tells of
     * @throws UsageException where another run holds it, or either file is somebody else's
     */
    static Journal open(Path path, Path partial) throws IOException {
        Path key = path.toAbsolutePath().normalize();
        if (!OPEN.add(key)) {
            throw busy(path);
        }
        try {
            for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
                requireOurs(path, partial);
                FileChannel channel = FileChannel.open(
                        path, StandardOpenOption.CREATE, StandardOpenOption.READ, StandardOpenOption.WRITE);
                if (channel.tryLock() == null) {
                    channel.close();
                    throw busy(path);
                }
                // Who held it may have finished meanwhile: what is locked then has no name any more.
                if (Files.exists(path) && Files.size(path) == channel.size()) {
                    return new Journal(path, key, channel);
                }
                channel.close();
            }
            throw busy(path);
        } catch (IOException | RuntimeException e) {
            OPEN.remove(key);
            throw e;
        }
    }

    private static UsageException busy(Path path) {
        return new UsageException(path + " is held by another run that writes the same file.");
    }

    /** An empty journal, or one of zeros, is what a power failure leaves of ours. */
    private static void requireOurs(Path path, Path partial) throws IOException {
        boolean ours = Files.isRegularFile(path)
                ? Files.size(path) <= MOST_BYTES && isOurs(Files.readString(path, StandardCharsets.ISO_8859_1))
                : Files.notExists(path) && Files.notExists(partial);
        if (!ours) {
            throw new UsageException(partial + " or " + path.getFileName() + " is there and is not what an earlier run"
                    + " left; move it away, or give the output another name.");
        }
    }

    private static boolean isOurs(String text) {
        return text.startsWith(MARK) || text.chars().allMatch(c -> c == 0);
    }

    /** The whole lines so far; a last one that has no end is none. */
    List<String> lines() throws IOException {
        String text = Files.readString(path, StandardCharsets.ISO_8859_1);
        return text.substring(0, text.lastIndexOf('\n') + 1).lines().toList();
    }

    /** Keeps the first {@code count} of {@code lines}. */
    void keep(List<String> lines, int count) throws IOException {
        int bytes = lines.subList(0, count).stream()
                .mapToInt(line -> line.length() + 1)
                .sum();
        channel.truncate(bytes).position(bytes);
    }

    /** Adds a line. */
    void add(String line) throws IOException {
        ByteBuffer bytes = StandardCharsets.ISO_8859_1.encode(line + "\n");
        while (bytes.hasRemaining()) {
            channel.write(bytes);
        }
    }

    /** The partial file has its name: the journal goes. */
    void delete() throws IOException {
        Files.deleteIfExists(path);
    }

    @Override
    public void close() throws IOException {
        try {
            channel.close();
        } finally {
            OPEN.remove(key);
        }
    }
}

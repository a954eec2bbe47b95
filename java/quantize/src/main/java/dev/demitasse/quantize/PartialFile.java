package dev.demitasse.quantize;

import dev.demitasse.exception.UsageException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.channels.OverlappingFileLockException;
import java.nio.charset.StandardCharsets;
import java.nio.file.AtomicMoveNotSupportedException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.List;
import java.util.zip.CRC32C;

/**
 * A file that is written under another name, piece by piece, and gets its own when it is whole. A journal beside it
 * names the pieces that are on the disk, with their checksums, so that a later process goes on where one was killed.
 */
final class PartialFile implements AutoCloseable {
    /** What fingerprints begin with. */
    static final String MARK = "demitasse ";

    private static final int BUFFER = 1 << 20;

    private final Path target;
    private final Path partial;
    private final Path journal;
    private final FileChannel channel;
    private final CRC32C checksum = new CRC32C();
    private int finished;

    private PartialFile(Path target, Path partial, Path journal, FileChannel channel) {
        this.target = target;
        this.partial = partial;
        this.journal = journal;
        this.channel = channel;
    }

    /**
     * Opens the partial file of {@code target}, with what an earlier process left of it.
     *
     * @param fingerprint of all that decides the content; what was written for another is dropped
     * @param header the first piece
     * @param pieces bytes of each further piece
     */
    static PartialFile open(Path target, String fingerprint, byte[] header, List<Long> pieces) throws IOException {
        Path partial = target.resolveSibling(target.getFileName() + ".partial");
        Path journal = target.resolveSibling(target.getFileName() + ".partial.journal");
        requireOurs(partial, journal, fingerprint);
        FileChannel channel =
                FileChannel.open(partial, StandardOpenOption.CREATE, StandardOpenOption.READ, StandardOpenOption.WRITE);
        try {
            if (!locked(channel)) {
                throw new UsageException(target + " is being written by another process.");
            }
            PartialFile file = new PartialFile(target, partial, journal, channel);
            file.resume(fingerprint, header, pieces);
            return file;
        } catch (IOException | RuntimeException e) {
            channel.close();
            throw e;
        }
    }

    /** Refuses a file of that name that no process of ours has begun: the journal is there before it. */
    private static void requireOurs(Path partial, Path journal, String fingerprint) throws IOException {
        if (Files.notExists(journal) && Files.notExists(partial)) {
            Files.writeString(journal, fingerprint + "\n", StandardCharsets.ISO_8859_1);
        }
        String first = "";
        if (Files.isRegularFile(journal)) {
            try (var lines = Files.lines(journal, StandardCharsets.ISO_8859_1)) {
                first = lines.findFirst().orElse("");
            }
        }
        if (!first.startsWith(MARK)) {
            throw new UsageException(
                    partial + " or " + journal.getFileName() + " is there and is not what an earlier run"
                            + " left; move it away, or give the output another name.");
        }
    }

    private static boolean locked(FileChannel channel) throws IOException {
        try {
            return channel.tryLock() != null;
        } catch (OverlappingFileLockException e) { // this process
            return false;
        }
    }

    private void resume(String fingerprint, byte[] header, List<Long> pieces) throws IOException {
        long end = header.length;
        List<String> lines =
                Files.exists(journal) ? Files.readAllLines(journal, StandardCharsets.ISO_8859_1) : List.of();
        if (!lines.isEmpty() && lines.getFirst().equals(fingerprint)) {
            while (finished < pieces.size()
                    && finished + 1 < lines.size()
                    && lines.get(finished + 1).equals(line(finished, end, pieces.get(finished)))) {
                end += pieces.get(finished);
                finished++;
            }
        }
        channel.truncate(end);
        channel.position(0);
        write(ByteBuffer.wrap(header));
        channel.position(end);
        checksum.reset();
        // Written anew, so that nothing follows the pieces that are good.
        StringBuilder good = new StringBuilder(fingerprint + "\n");
        lines.stream().skip(1).limit(finished).forEach(line -> good.append(line).append('\n'));
        Files.writeString(journal, good, StandardCharsets.ISO_8859_1);
    }

    /** The journal's line of a piece, or of what lies at its place. */
    private String line(int piece, long from, long bytes) throws IOException {
        if (channel.size() < from + bytes) {
            return "";
        }
        CRC32C sum = new CRC32C();
        ByteBuffer buffer = ByteBuffer.allocate(BUFFER);
        for (long at = from; at < from + bytes; ) {
            buffer.clear().limit((int) Math.min(BUFFER, from + bytes - at));
            int read = channel.read(buffer, at);
            if (read < 0) {
                return "";
            }
            at += read;
            sum.update(buffer.flip());
        }
        return line(piece, sum);
    }

    private static String line(int piece, CRC32C sum) {
        return piece + " " + Long.toHexString(sum.getValue()) + " ok";
    }

    /** Pieces that are there already. */
    int finished() {
        return finished;
    }

    /** Writes a part of the next piece. */
    void write(ByteBuffer bytes) throws IOException {
        checksum.update(bytes.duplicate());
        while (bytes.hasRemaining()) {
            channel.write(bytes);
        }
    }

    /**
     * The piece is whole: from here on it survives this process. It is not forced to the disk, which would cost more
     * than encoding it: what a power failure takes of it, its checksum tells.
     */
    void finishPiece() throws IOException {
        String line = line(finished, checksum) + "\n";
        Files.writeString(journal, line, StandardCharsets.ISO_8859_1, StandardOpenOption.APPEND);
        checksum.reset();
        finished++;
    }

    /** All pieces are there: the file gets its name. */
    void complete() throws IOException {
        channel.force(true);
        try {
            Files.move(partial, target, StandardCopyOption.ATOMIC_MOVE);
        } catch (AtomicMoveNotSupportedException e) {
            Files.move(partial, target, StandardCopyOption.REPLACE_EXISTING);
        }
        Files.deleteIfExists(journal);
    }

    @Override
    public void close() throws IOException {
        channel.close();
    }
}

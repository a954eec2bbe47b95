package dev.demitasse.quantize;

import dev.demitasse.exception.UsageException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.AtomicMoveNotSupportedException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import java.util.zip.CRC32C;

/**
 * A file that is written under another name, piece by piece, and gets its own when it is whole. A {@link Journal}
 * beside it names the pieces that are there, with their checksums, so that a later process goes on where one was
 * killed.
 */
final class PartialFile implements AutoCloseable {
    private static final int BUFFER = 1 << 20;

    private final Path target;
    private final Path partial;
    private final Journal journal;
    private final FileChannel channel;
    private final CRC32C checksum = new CRC32C();
    private final List<Long> pieces;
    private final List<double[]> numbers = new ArrayList<>();
    private int finished;
    private long end;

    private PartialFile(Path target, Path partial, Journal journal, FileChannel channel, List<Long> pieces) {
        this.target = target;
        this.partial = partial;
        this.journal = journal;
        this.channel = channel;
        this.pieces = pieces;
    }

    /**
     * Opens the partial file of {@code target}, with what an earlier process left of it.
     *
     * @param fingerprint of all that decides the content; what was written for another is dropped
     * @param header the first piece
     * @param pieces bytes of each further piece
     * @throws QuantizeException where the disk has no room for the rest; what is there stays
     */
    static PartialFile open(Path target, String fingerprint, byte[] header, List<Long> pieces) throws IOException {
        Path partial = target.resolveSibling(target.getFileName() + ".partial");
        Journal journal = Journal.open(target.resolveSibling(target.getFileName() + ".partial.journal"), partial);
        try {
            FileChannel channel = FileChannel.open(
                    partial, StandardOpenOption.CREATE, StandardOpenOption.READ, StandardOpenOption.WRITE);
            try {
                PartialFile file = new PartialFile(target, partial, journal, channel, pieces);
                file.resume(fingerprint, header);
                return file;
            } catch (IOException | RuntimeException e) {
                channel.close();
                throw e;
            }
        } catch (IOException | RuntimeException e) {
            journal.close();
            throw e;
        }
    }

    private void resume(String fingerprint, byte[] header) throws IOException {
        end = header.length;
        List<String> lines = journal.lines();
        boolean known = !lines.isEmpty() && lines.getFirst().equals(fingerprint);
        while (known
                && finished < pieces.size()
                && finished + 1 < lines.size()
                && isWhole(lines.get(finished + 1), line(finished, end, pieces.get(finished)))) {
            end += pieces.get(finished);
            finished++;
        }
        requireSpace();
        channel.truncate(end);
        if (known) {
            journal.keep(lines, finished + 1);
        } else {
            journal.keep(lines, 0);
            journal.add(fingerprint);
        }
        channel.position(0);
        write(ByteBuffer.wrap(header));
        channel.position(end);
        checksum.reset();
    }

    /** Whether a line is of the piece that lies on the disk; what it tells beside that is kept. */
    private boolean isWhole(String line, String piece) {
        if (!line.startsWith(piece) || piece.isEmpty()) {
            return false;
        }
        try {
            numbers.add(Stream.of(line.substring(piece.length()).split(" "))
                    .filter(each -> !each.isEmpty())
                    .mapToDouble(Double::parseDouble)
                    .toArray());
            return true;
        } catch (NumberFormatException e) {
            return false; // half a line
        }
    }

    private void requireSpace() throws IOException {
        long needed = pieces.stream().skip(finished).mapToLong(Long::longValue).sum();
        long free;
        try {
            free = Files.getFileStore(partial).getUsableSpace() + Math.max(0, channel.size() - end);
        } catch (IOException e) {
            return; // not every file system tells; writing will
        }
        if (free < needed) {
            throw new QuantizeException(target + " needs " + (needed >> 20) + " MiB more, and " + (free >> 20)
                    + " MiB are free there. Free some, or write to another disk.");
        }
    }

    /** The journal's line of a piece as it lies on the disk. */
    private String line(int piece, long from, long bytes) throws IOException {
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

    /** What {@link #finishPiece} was told of a piece that is there. */
    double[] numbers(int piece) {
        return numbers.get(piece).clone();
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
     *
     * @param about what is known of the piece beside its bytes
     */
    void finishPiece(double... about) throws IOException {
        StringBuilder line = new StringBuilder(line(finished, checksum));
        for (double number : about) {
            line.append(' ').append(number);
        }
        journal.add(line.toString());
        numbers.add(about);
        checksum.reset();
        finished++;
    }

    /**
     * All pieces are there: the file gets its name.
     *
     * @throws UsageException where somebody has made a file of that name meanwhile, and it may not be replaced
     */
    void complete(boolean overwrite) throws IOException {
        channel.force(true);
        if (!overwrite && Files.exists(target, LinkOption.NOFOLLOW_LINKS)) {
            throw new UsageException(target + " has come to be while it was written; remove it and run the same command"
                    + " again, which takes what is in " + partial.getFileName() + ".");
        }
        try {
            Files.move(partial, target, StandardCopyOption.ATOMIC_MOVE);
        } catch (AtomicMoveNotSupportedException e) {
            Files.move(partial, target, StandardCopyOption.REPLACE_EXISTING);
        }
        journal.delete();
    }

    @Override
    public void close() throws IOException {
        try {
            channel.close();
        } finally {
            journal.close();
        }
    }
}

package dev.demitasse;

import static java.nio.charset.StandardCharsets.UTF_8;

import dev.demitasse.chat.Message;
import dev.demitasse.exception.SessionFormatException;
import dev.demitasse.exception.UsageException;
import dev.demitasse.json.Json;
import dev.demitasse.runtime.Sequence;
import dev.demitasse.runtime.Snapshots;
import java.io.File;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.FileAttribute;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Base64;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.UUID;
import java.util.zip.CRC32C;
import org.jspecify.annotations.Nullable;

/**
 * The file of a saved session: its first eight bytes, the version and the length of a JSON object, both 32 bits; the
 * object; the CRC-32C of all that; the rows of {@link Snapshots} and the CRC-32C of those. All numbers are
 * little-endian.
 */
final class SessionFile {
    private static final byte[] MAGIC = "DMTSESSN".getBytes(UTF_8);
    private static final int VERSION = 1;
    private static final int FIRST_BYTES = 16;
    private static final int CHECK_BYTES = 4;
    private static final int MOST_HEADER_BYTES = 64 << 20;
    private static final int PIECE = 1 << 20; // rows are written and read in pieces of so many bytes
    private static final Set<StandardOpenOption> OPTIONS =
            Set.of(StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE);
    private static final System.Logger LOG = System.getLogger("dev.demitasse");

    private final Path path;

    SessionFile(Path path) {
        this.path = path;
    }

    /**
     * What a session is, but for what is cached.
     *
     * @param model the fingerprint of its file
     * @param history what was said
     * @param dropped messages that are not read any more
     */
    record Conversation(String model, List<Message> history, int dropped) {}

    /**
     * What precedes the rows.
     *
     * @param layout of the rows
     */
    record Header(Conversation conversation, String layout, Snapshots.Cached cached) {}

    /** Writes a session beside its final place, and renames it: a file that is there stays until it is whole. */
    void write(Conversation conversation, Snapshots snapshots, Sequence sequence) {
        Path target = target();
        Path part = target.resolveSibling(target.getFileName() + "." + UUID.randomUUID() + ".part");
        try {
            try (FileChannel file = FileChannel.open(part, OPTIONS, owners(target))) {
                CRC32C check = new CRC32C();
                snapshots.save(sequence, new Snapshots.Sink() {
                    @Override
                    public void begin(Snapshots.Cached cached) throws IOException {
                        writeHeader(file, new Header(conversation, snapshots.layout(), cached));
                    }

                    @Override
                    public void row(MemorySegment row) throws IOException {
                        for (ByteBuffer piece : pieces(row)) {
                            check.update(piece.duplicate());
                            put(file, piece);
                        }
                    }
                });
                put(file, number((int) check.getValue()));
                file.force(true);
            }
            Files.move(part, target, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
            forceFolder(target);
        } catch (IOException e) {
            throw new UsageException("Cannot save the session as " + path + ": " + e, e);
        } finally {
            delete(part);
        }
    }

    /** The file that a link means, so that the link stays. */
    private Path target() {
        try {
            return path.toRealPath();
        } catch (IOException e) {
            return path; // which is not there yet
        }
    }

    /** So that a power failure does not undo the renaming, where folders can be opened: on Windows none can. */
    private static void forceFolder(Path target) {
        Path parent = target.toAbsolutePath().getParent();
        if (parent == null || File.separatorChar != '/') {
            return;
        }
        try (FileChannel folder = FileChannel.open(parent, StandardOpenOption.READ)) {
            folder.force(true);
        } catch (IOException e) {
            LOG.log(System.Logger.Level.DEBUG, "The session is saved, and its folder not forced to the disk", e);
        }
    }

    /** What makes a file that only its owner may read, where files have owners. */
    private static FileAttribute<?>[] owners(Path target) {
        boolean posix = target.getFileSystem().supportedFileAttributeViews().contains("posix");
        return posix
                ? new FileAttribute<?>[] {
                    PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rw-------"))
                }
                : new FileAttribute<?>[0];
    }

    private static void delete(Path part) {
        try {
            Files.deleteIfExists(part);
        } catch (IOException e) {
            LOG.log(System.Logger.Level.WARNING, "Cannot delete " + part, e);
        }
    }

    private static void writeHeader(FileChannel file, Header header) throws IOException {
        Map<String, Object> object = new LinkedHashMap<>();
        object.put("model", header.conversation.model);
        object.put("history", MessageJson.write(header.conversation.history));
        object.put("dropped", (long) header.conversation.dropped);
        object.put("layout", header.layout);
        object.put("tokens", text(header.cached.tokens()));
        object.put("promptTokens", (long) header.cached.promptTokens());
        object.put("followed", (long) header.cached.followed());
        byte[] json = Json.write(object).getBytes(UTF_8);
        if (json.length > MOST_HEADER_BYTES) {
            throw new IOException("what was said takes " + json.length + " bytes; " + MOST_HEADER_BYTES + " are kept");
        }
        ByteBuffer all = ByteBuffer.allocate(FIRST_BYTES + json.length).order(ByteOrder.LITTLE_ENDIAN);
        all.put(MAGIC).putInt(VERSION).putInt(json.length).put(json).flip();
        CRC32C check = new CRC32C();
        check.update(all.duplicate());
        put(file, all);
        put(file, number((int) check.getValue()));
    }

    /** Tokens as Base64 of numbers of 32 bits. */
    private static String text(int[] tokens) {
        ByteBuffer bytes = ByteBuffer.allocate(tokens.length * Integer.BYTES).order(ByteOrder.LITTLE_ENDIAN);
        bytes.asIntBuffer().put(tokens);
        return Base64.getEncoder().encodeToString(bytes.array());
    }

    private static int[] tokens(String text) {
        byte[] bytes = Base64.getDecoder().decode(text);
        if (bytes.length % Integer.BYTES != 0) {
            throw new IllegalArgumentException(bytes.length + " bytes of tokens");
        }
        int[] tokens = new int[bytes.length / Integer.BYTES];
        ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN).asIntBuffer().get(tokens);
        return tokens;
    }

    /**
     * Reads a session.
     *
     * @param model the fingerprint of the model's file
     * @param sequence gets what was cached, where the rows are of its layout and there is room; else that is computed
     *     again when the session goes on
     */
    Conversation read(String model, Snapshots snapshots, Sequence sequence) {
        try (FileChannel file = FileChannel.open(path, StandardOpenOption.READ)) {
            Header header = readHeader(file);
            if (!header.conversation.model.equals(model)) {
                throw bad("was saved of another model (its fingerprint is " + header.conversation.model
                        + ", that of this one " + model + "); restore it with that model");
            }
            if (!header.layout.equals(snapshots.layout())) {
                computedAgain("its cache is " + header.layout + ", the model's " + snapshots.layout());
                return header.conversation;
            }
            long rows = snapshots.bytes(header.cached) + CHECK_BYTES;
            if (file.size() - file.position() != rows) {
                throw bad("has " + (file.size() - file.position()) + " bytes of a cache; "
                        + header.cached.tokens().length + " tokens take " + rows);
            }
            requireWhole(file, rows - CHECK_BYTES);
            CRC32C check = new CRC32C();
            boolean restored = snapshots.restore(sequence, header.cached, row -> readRow(file, row, check));
            if (!restored) {
                computedAgain("there is no room for its " + header.cached.tokens().length + " tokens");
            }
            return header.conversation;
        } catch (IOException e) {
            throw new UsageException("Cannot restore a session of " + path + ": " + e, e);
        }
    }

    private void computedAgain(String why) {
        LOG.log(System.Logger.Level.INFO, "What the session in " + path + " has cached is computed again: " + why);
    }

    /** Reads all rows once before other sequences' pages are taken for them; the channel stays where it was. */
    private void requireWhole(FileChannel file, long rows) throws IOException {
        long begin = file.position();
        CRC32C check = new CRC32C();
        ByteBuffer piece = ByteBuffer.allocateDirect((int) Math.min(PIECE, rows));
        for (long left = rows; left > 0; left -= piece.limit()) {
            fill(file, piece.clear().limit((int) Math.min(PIECE, left)));
            check.update(piece.flip());
        }
        requireCheck(file, check);
        file.position(begin);
    }

    private void requireCheck(FileChannel file, CRC32C check) throws IOException {
        if (fill(file, number(0)).getInt(0) != (int) check.getValue()) {
            throw bad("is damaged: its cache is not what was saved");
        }
    }

    /** Reads a row; the one behind the last is the check of all. */
    private void readRow(FileChannel file, MemorySegment row, CRC32C check) throws IOException {
        for (ByteBuffer piece : pieces(row)) {
            fill(file, piece);
            check.update(piece.flip());
        }
        if (row.byteSize() == 0) {
            requireCheck(file, check); // again: others may write to the file meanwhile
        }
    }

    private Header readHeader(FileChannel file) throws IOException {
        long size = file.size();
        if (size < FIRST_BYTES + 2 * CHECK_BYTES) {
            throw bad("has " + size + " bytes, fewer than a saved session");
        }
        ByteBuffer first = fill(file, ByteBuffer.allocate(FIRST_BYTES)).order(ByteOrder.LITTLE_ENDIAN);
        if (!Arrays.equals(Arrays.copyOf(first.array(), MAGIC.length), MAGIC)) {
            throw bad("is no saved session");
        }
        int version = first.getInt(MAGIC.length);
        if (version != VERSION) {
            throw bad("is of version " + Integer.toUnsignedString(version) + " of the format; version " + VERSION
                    + " is read: save it anew");
        }
        int length = first.getInt(MAGIC.length + Integer.BYTES);
        if (length < 2 || length > Math.min(MOST_HEADER_BYTES, size - FIRST_BYTES - 2 * CHECK_BYTES)) {
            throw bad("says that its header has " + Integer.toUnsignedString(length) + " of its " + size + " bytes");
        }
        byte[] json = fill(file, ByteBuffer.allocate(length)).array();
        CRC32C check = new CRC32C();
        check.update(first.array());
        check.update(json);
        if (fill(file, number(0)).getInt(0) != (int) check.getValue()) {
            throw bad("is damaged: its header is not what was saved");
        }
        return header(Json.object(new String(json, UTF_8)));
    }

    private Header header(@Nullable Map<String, @Nullable Object> object) {
        try {
            if (object != null
                    && object.get("model") instanceof String model
                    && object.get("layout") instanceof String layout
                    && object.get("dropped") instanceof Long dropped
                    && object.get("tokens") instanceof String text
                    && object.get("promptTokens") instanceof Long promptTokens
                    && object.get("followed") instanceof Long followed) {
                List<Message> history = MessageJson.read(object.get("history"));
                int[] tokens = tokens(text);
                if (isWithin(dropped, ContextWindow.droppable(history))
                        && isWithin(promptTokens, tokens.length)
                        && isWithin(followed, tokens.length)) {
                    return new Header(
                            new Conversation(model, history, dropped.intValue()),
                            layout,
                            new Snapshots.Cached(tokens, promptTokens.intValue(), followed.intValue()));
                }
            }
        } catch (ClassCastException | NullPointerException | IllegalArgumentException | UsageException e) {
            throw bad("has a header that says what no session is: " + e.getMessage());
        }
        throw bad("has a header that says what no session is");
    }

    private static boolean isWithin(long number, int most) {
        return number >= 0 && number <= most;
    }

    private SessionFormatException bad(String what) {
        return new SessionFormatException(path + " " + what + ".");
    }

    private static List<ByteBuffer> pieces(MemorySegment row) {
        List<ByteBuffer> pieces = new ArrayList<>();
        for (long at = 0; at < row.byteSize(); at += PIECE) {
            pieces.add(row.asSlice(at, Math.min(PIECE, row.byteSize() - at)).asByteBuffer());
        }
        return pieces;
    }

    /** Four bytes of a number. */
    private static ByteBuffer number(int value) {
        return ByteBuffer.allocate(Integer.BYTES)
                .order(ByteOrder.LITTLE_ENDIAN)
                .putInt(value)
                .flip();
    }

    private static void put(FileChannel file, ByteBuffer bytes) throws IOException {
        while (bytes.hasRemaining()) {
            file.write(bytes);
        }
    }

    private ByteBuffer fill(FileChannel file, ByteBuffer bytes) throws IOException {
        while (bytes.hasRemaining()) {
            if (file.read(bytes) < 0) {
                throw bad("ends within what it has to hold");
            }
        }
        return bytes;
    }
}

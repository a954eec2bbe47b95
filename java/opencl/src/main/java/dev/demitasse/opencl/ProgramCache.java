package dev.demitasse.opencl;

import dev.demitasse.CacheFolder;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.function.LongSupplier;
import org.jspecify.annotations.Nullable;

/**
 * Compiled programs in the cache folder, each in a file named by a hash of all that it depends on: source, options,
 * device, and the versions of its software. A file begins with a hash of the rest, so that a damaged one is as good as
 * none. Files appear whole or not at all; two who write the same write the same.
 */
final class ProgramCache {
    private static final System.Logger LOG = System.getLogger(ProgramCache.class.getName());
    private static final int HASH_BYTES = 32;

    private final Path folder;
    private final String device;
    private final boolean keeping;

    /** In a folder, which need not be there yet. */
    ProgramCache(DeviceInfo device, Path folder) {
        this(device, folder, true);
    }

    private ProgramCache(DeviceInfo device, Path folder, boolean keeping) {
        this.device = device.name() + "\n" + device.version() + "\n" + device.software();
        this.folder = folder;
        this.keeping = keeping;
    }

    /** The user's. */
    static ProgramCache of(DeviceInfo device) {
        return new ProgramCache(device, folder(), !device.keepsPrograms());
    }

    /** Whether programs are to be kept here. */
    boolean keeping() {
        return keeping;
    }

    /** {@code $DEMITASSE_OPENCL_PROGRAMS}, else a folder of the cache folder. */
    private static Path folder() {
        String set = System.getenv("DEMITASSE_OPENCL_PROGRAMS");
        return set == null || set.isEmpty() ? CacheFolder.path().resolve("opencl") : Path.of(set);
    }

    /** The name of a program's file. */
    String name(String source, String options) {
        byte[] all = (device + "\n" + options + "\n" + source).getBytes(StandardCharsets.UTF_8);
        return HexFormat.of().formatHex(hash(all)) + ".bin";
    }

    /** A program; null where there is none, or its file is damaged. */
    byte @Nullable [] read(String name) {
        Path file = folder.resolve(name);
        try {
            if (!Files.exists(file)) {
                return null;
            }
            byte[] all = Files.readAllBytes(file);
            if (all.length > HASH_BYTES) {
                byte[] program = Arrays.copyOfRange(all, HASH_BYTES, all.length);
                if (Arrays.equals(hash(program), Arrays.copyOf(all, HASH_BYTES))) {
                    return program;
                }
            }
            LOG.log(System.Logger.Level.WARNING, "opencl: {0} is damaged, and built again", file);
            delete(file);
        } catch (IOException e) {
            LOG.log(System.Logger.Level.WARNING, "opencl: {0} cannot be read, and is built again: {1}", file, e);
        }
        return null;
    }

    /**
     * Builds while no other process does, so that those who start together build each program once; together where the
     * folder has no place for a lock.
     */
    long alone(LongSupplier build) {
        synchronized (ProgramCache.class) { // a process has a file's lock once
            FileChannel channel = lockFile();
            if (channel == null) {
                return build.getAsLong();
            }
            try (channel) {
                FileLock lock = lock(channel);
                try {
                    return build.getAsLong();
                } finally {
                    if (lock != null) {
                        lock.release();
                    }
                }
            } catch (IOException e) {
                throw new UncheckedIOException(e);
            }
        }
    }

    private @Nullable FileChannel lockFile() {
        try {
            Files.createDirectories(folder);
            return FileChannel.open(folder.resolve("lock"), StandardOpenOption.CREATE, StandardOpenOption.WRITE);
        } catch (IOException e) {
            LOG.log(System.Logger.Level.DEBUG, "opencl: {0} has no lock: {1}", folder, e);
            return null;
        }
    }

    private @Nullable FileLock lock(FileChannel channel) {
        try {
            return channel.lock();
        } catch (IOException e) { // a file system without locks
            LOG.log(System.Logger.Level.DEBUG, "opencl: {0} cannot be locked: {1}", folder, e);
            return null;
        }
    }

    /** Keeps a program, where the folder can be written. */
    void write(String name, byte[] program) {
        Path temporary = null;
        try {
            Files.createDirectories(folder);
            temporary = Files.createTempFile(folder, name, ".tmp");
            byte[] hash = hash(program);
            byte[] all = Arrays.copyOf(hash, HASH_BYTES + program.length);
            System.arraycopy(program, 0, all, HASH_BYTES, program.length);
            Files.write(temporary, all);
            Files.move(temporary, folder.resolve(name), StandardCopyOption.ATOMIC_MOVE);
        } catch (IOException e) {
            LOG.log(
                    System.Logger.Level.INFO,
                    "opencl: compiled kernels are not kept, since {0} cannot be written: {1}",
                    folder,
                    e);
            delete(temporary);
        }
    }

    private static void delete(@Nullable Path file) {
        try {
            if (file != null) {
                Files.deleteIfExists(file);
            }
        } catch (IOException e) {
            LOG.log(System.Logger.Level.DEBUG, "opencl: {0} is left behind: {1}", file, e);
        }
    }

    private static byte[] hash(byte[] bytes) {
        try {
            return MessageDigest.getInstance("SHA-256").digest(bytes);
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException("every Java has SHA-256", e);
        }
    }
}

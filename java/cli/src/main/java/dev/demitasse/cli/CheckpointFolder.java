package dev.demitasse.cli;

import dev.demitasse.exception.UsageException;
import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.channels.OverlappingFileLockException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.List;

/**
 * A folder beside an output that holds a checkpoint as a GGUF file of 16 bits while a text is run through it. Its name
 * is the input's, so that the run after one that was killed finds what is there; one run has it at a time.
 */
final class CheckpointFolder implements AutoCloseable {
    private static final String MODEL = "model.gguf";
    private static final String LOCK = "lock";

    private final Path folder;
    private final FileChannel lock;
    private boolean kept;

    private CheckpointFolder(Path folder, FileChannel lock) {
        this.folder = folder;
        this.lock = lock;
    }

    /**
     * Opens the folder, and makes it where it is not there.
     *
     * @param out the output
     * @param identity of the input
     * @throws UsageException where another run has it, or it cannot be made
     */
    static CheckpointFolder open(Path out, String identity) {
        Path folder = out.resolveSibling(out.getFileName() + ".f16-" + identity);
        if (Files.isSymbolicLink(folder)) {
            throw new UsageException(folder + " is a link; move it away, or give the output another name.");
        }
        try {
            Files.createDirectories(folder);
            FileChannel channel =
                    FileChannel.open(folder.resolve(LOCK), StandardOpenOption.CREATE, StandardOpenOption.WRITE);
            if (isLocked(channel)) {
                return new CheckpointFolder(folder, channel);
            }
            channel.close();
        } catch (IOException e) {
            throw new UsageException("Cannot write to " + folder + ": " + TextFile.reason(e), e);
        }
        throw new UsageException(folder + " is held by another run that writes the same file.");
    }

    private static boolean isLocked(FileChannel channel) throws IOException {
        try {
            return channel.tryLock() != null;
        } catch (OverlappingFileLockException e) {
            return false; // a run of this process has it
        }
    }

    /** The checkpoint as a GGUF file, which need not be there yet. */
    Path model() {
        return folder.resolve(MODEL);
    }

    /** Leaves what is there to the next run, and says so. */
    void keep() {
        kept = true;
        System.err.println("What is there of the checkpoint in 16 bits stays in " + folder + " for the next run.");
    }

    /** Deletes the files that are this folder's, and the folder where nothing else is in it; what cannot be is told. */
    @Override
    public void close() {
        try {
            if (!kept) {
                for (String name : List.of(MODEL, MODEL + ".partial", MODEL + ".partial.journal")) {
                    Files.deleteIfExists(folder.resolve(name));
                }
            }
            lock.close();
            if (!kept) {
                Files.deleteIfExists(folder.resolve(LOCK));
                Files.delete(folder);
            }
        } catch (IOException e) {
            System.err.println("Cannot delete " + folder + ": " + TextFile.reason(e));
        }
    }
}

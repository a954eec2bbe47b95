package dev.demitasse.quantize;

import dev.demitasse.exception.UsageException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;

/** Where a file is to be written: checked before the work begins, not when it is done. */
public final class OutputPath {
    private OutputPath() {}

    /**
     * Fails where a file cannot be written, or may not.
     *
     * @param out the file that is to be written
     * @param overwrite whether a file of that name may be replaced
     * @throws UsageException where it exists and may not be replaced, is no file, or has no folder that can be written
     */
    public static void require(Path out, boolean overwrite) {
        if (Files.isDirectory(out)) {
            throw new UsageException(out + " is a folder; name a file.");
        }
        if (Files.exists(out, LinkOption.NOFOLLOW_LINKS)) {
            if (!Files.isRegularFile(out)) {
                throw new UsageException(out + " is no file that can be replaced; give another name.");
            }
            if (!overwrite) {
                throw new UsageException(out + " exists; remove it, or allow to replace it (--overwrite).");
            }
        }
        Path folder = out.toAbsolutePath().getParent();
        if (folder == null || out.getFileName() == null || !Files.isDirectory(folder)) {
            throw new UsageException("There is no folder " + folder + ".");
        }
        if (!Files.isWritable(folder)) {
            throw new UsageException("There is no access to write in " + folder + ".");
        }
    }
}

package dev.demitasse.cli;

import dev.demitasse.exception.UsageException;
import java.io.IOException;
import java.nio.charset.CharacterCodingException;
import java.nio.file.AccessDeniedException;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;

/** Files of text that a person names. */
final class TextFile {
    private TextFile() {}

    /**
     * The text of a file in UTF-8.
     *
     * @throws UsageException where there is no such file, it is a folder, or it is no text in UTF-8
     */
    static String read(Path file) {
        try {
            return Files.readString(file);
        } catch (CharacterCodingException e) {
            throw new UsageException(file + " is no text in UTF-8.", e);
        } catch (IOException e) {
            throw new UsageException(reason(e, file), e);
        }
    }

    /** What went wrong, for people, where no file is known but the one that the exception names. */
    static String reason(IOException e) {
        return e instanceof FileSystemException system
                ? reason(e, Path.of(system.getFile() == null ? "." : system.getFile()))
                : e.getMessage() == null ? e.toString() : e.getMessage() + ".";
    }

    /** What went wrong with a file, for people. */
    static String reason(IOException e, Path file) {
        return switch (e) {
            case NoSuchFileException missing -> "There is no file " + missing.getFile() + ".";
            case AccessDeniedException denied -> "There is no access to " + denied.getFile() + ".";
            case FileSystemException system
            when system.getReason() != null -> system.getFile() + ": " + system.getReason() + ".";
            default ->
                Files.isDirectory(file) ? file + " is a folder." : file + " cannot be used: " + e.getMessage() + ".";
        };
    }
}

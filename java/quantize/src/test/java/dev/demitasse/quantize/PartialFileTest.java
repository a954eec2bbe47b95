package dev.demitasse.quantize;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class PartialFileTest {
    private static final byte[] HEADER = {1, 2, 3, 4};

    @TempDir
    Path folder = Path.of("");

    /** What a full disk says, and that nothing of the file that was there is gone. */
    @Test
    void whatHasNoRoomIsRefusedBeforeAnythingIsWritten() throws IOException {
        Path target = Files.writeString(folder.resolve("model.gguf"), "the one before");
        long tooMuch = Files.getFileStore(folder).getTotalSpace() + (1L << 30);
        assertThatThrownBy(() -> PartialFile.open(target, Journal.MARK + "a", HEADER, List.of(tooMuch)))
                .isInstanceOf(QuantizeException.class)
                .hasMessageContaining("MiB are free there")
                .hasMessageContaining("write to another disk");
        assertThat(target).hasContent("the one before");
    }

    @Test
    void whatIsKnownOfAPieceIsKnownToTheNextRun() throws IOException {
        Path target = folder.resolve("model.gguf");
        List<Long> pieces = List.of(2L, 2L);
        try (PartialFile file = PartialFile.open(target, Journal.MARK + "a", HEADER, pieces)) {
            file.write(ByteBuffer.wrap(new byte[] {5, 6}));
            file.finishPiece(0.25, Double.NaN);
        }
        try (PartialFile file = PartialFile.open(target, Journal.MARK + "a", HEADER, pieces)) {
            assertThat(file.finished()).isEqualTo(1);
            assertThat(file.numbers(0)).containsExactly(0.25, Double.NaN);
        }
        Path journal = folder.resolve("model.gguf.partial.journal");
        Files.writeString(journal, Files.readString(journal).replace(" NaN\n", "")); // killed within the line
        try (PartialFile file = PartialFile.open(target, Journal.MARK + "a", HEADER, pieces)) {
            assertThat(file.finished()).isZero();
        }
    }
}

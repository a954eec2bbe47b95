package dev.demitasse.memory;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import dev.demitasse.exception.UsageException;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class HostMemoryTest {
    @ParameterizedTest
    @ValueSource(longs = {0, 1, 100, (64 << 10) - 1, 64 << 10, 1_000_001, (2 << 20) - 1, 2 << 20, 5_000_000})
    void blocksAreAlignedZeroedApartAndCounted(long bytes) {
        long before = HostMemory.allocatedBytes();
        List<HostMemory> blocks = new ArrayList<>();
        for (int i = 0; i < 40; i++) {
            HostMemory block = HostMemory.allocate(bytes);
            assertEquals(bytes, block.bytes());
            assertEquals(0, block.address() % HostMemory.ALIGNMENT);
            assertEquals(-1, block.segment().mismatch(zeros(bytes)), "not zeroed");
            block.segment().fill((byte) (i + 1));
            blocks.add(block);
        }
        assertEquals(40 * bytes, HostMemory.allocatedBytes() - before);
        for (int i = 0; i < 40; i++) {
            MemorySegment segment = blocks.get(i).segment();
            for (long at = 0; at < bytes; at += 997) {
                assertEquals(i + 1, segment.get(java.lang.foreign.ValueLayout.JAVA_BYTE, at));
            }
        }
        blocks.forEach(HostMemory::close);
        blocks.forEach(HostMemory::close);
        assertEquals(before, HostMemory.allocatedBytes());
    }

    @Test
    void negativeSizesAreRefused() {
        assertThrows(UsageException.class, () -> HostMemory.allocate(-1));
    }

    private static MemorySegment zeros(long bytes) {
        return MemorySegment.ofArray(new byte[(int) bytes]);
    }
}

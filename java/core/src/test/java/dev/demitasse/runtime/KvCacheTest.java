package dev.demitasse.runtime;

import static org.assertj.core.api.Assertions.assertThat;

import dev.demitasse.device.Device;
import dev.demitasse.device.DeviceOptions;
import dev.demitasse.kv.KvShape;
import dev.demitasse.kv.KvType;
import dev.demitasse.memory.HostMemory;
import dev.demitasse.reference.ReferenceBackend;
import dev.demitasse.testkit.Seeds;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

class KvCacheTest {
    private static final int PAGE = KvShape.PAGE;

    static KvCache cache(int pages) {
        Device device = new ReferenceBackend().open(DeviceOptions.defaults());
        return new KvCache(device, new KvShape(1, 1, 2, pages, KvType.F32));
    }

    private static int[] pages(PageTable table) {
        return Arrays.copyOf(table.pages(), table.size());
    }

    @Test
    void positionsTakeWholePages() {
        assertThat(IntStream.of(0, 1, PAGE - 1, PAGE, PAGE + 1, 2 * PAGE, 2 * PAGE + 1)
                        .map(KvCache::pagesFor))
                .containsExactly(0, 1, 1, 1, 2, 2, 3);
    }

    @Test
    void aTableGrowsWhereAPositionCrossesAPageAlone() {
        try (KvCache cache = cache(12)) {
            PageTable table = new PageTable();
            int[] before = {};
            for (int positions = 1; positions <= 12 * PAGE; positions++) {
                assertThat(cache.reserve(table, positions)).isTrue();
                assertThat(table.size()).isEqualTo((positions - 1) / PAGE + 1);
                assertThat(cache.freePages()).isEqualTo(12 - table.size());
                assertThat(Arrays.copyOf(pages(table), before.length)).isEqualTo(before);
                before = pages(table);
            }
            assertThat(before).doesNotHaveDuplicates().hasSize(12);
        }
    }

    @Test
    void reservingLessThanThereIsChangesNothing() {
        try (KvCache cache = cache(4)) {
            PageTable table = new PageTable();
            cache.reserve(table, 3 * PAGE);
            int[] before = pages(table);
            assertThat(cache.reserve(table, 1)).isTrue();
            assertThat(cache.reserve(table, 0)).isTrue();
            assertThat(pages(table)).isEqualTo(before);
            assertThat(cache.freePages()).isEqualTo(1);
        }
    }

    @Test
    void whatDoesNotFitIsRefusedWhole() {
        try (KvCache cache = cache(3)) {
            PageTable first = new PageTable();
            PageTable second = new PageTable();
            assertThat(cache.reserve(first, 2 * PAGE)).isTrue();
            int[] before = pages(first);
            assertThat(cache.reserve(second, PAGE + 1)).isFalse();
            assertThat(cache.reserve(first, 4 * PAGE)).isFalse();
            assertThat(second.size()).isZero();
            assertThat(pages(first)).isEqualTo(before);
            assertThat(cache.freePages()).isEqualTo(1);
            assertThat(cache.reserve(second, PAGE)).isTrue();
            assertThat(cache.reserve(first, 2 * PAGE + 1)).isFalse();
        }
    }

    @Test
    void releasingKeepsTheFirstPages() {
        try (KvCache cache = cache(5)) {
            PageTable table = new PageTable();
            cache.reserve(table, 5 * PAGE);
            int[] all = pages(table);
            cache.release(table, 5 * PAGE);
            cache.release(table, 4 * PAGE + 1);
            assertThat(pages(table)).isEqualTo(all);
            cache.release(table, PAGE + 1);
            assertThat(pages(table)).isEqualTo(Arrays.copyOf(all, 2));
            assertThat(cache.freePages()).isEqualTo(3);
            cache.release(table, 0);
            cache.release(table, 0);
            assertThat(table.size()).isZero();
            assertThat(cache.freePages()).isEqualTo(5);
        }
    }

    @Test
    void closingGivesTheMemoryBack() {
        long before = HostMemory.allocatedBytes();
        KvCache cache = cache(1000);
        assertThat(HostMemory.allocatedBytes()).isGreaterThanOrEqualTo(before + 2 * 1000 * PAGE * 2 * Float.BYTES);
        cache.close();
        assertThat(HostMemory.allocatedBytes()).isEqualTo(before);
    }

    /** Any sequence of calls: no page is in two places, none is lost, and a table keeps the beginning that it had. */
    @Test
    void everyPageIsInOnePlace() {
        Seeds.forEach(300, random -> {
            int pages = 1 + random.nextInt(40);
            try (KvCache cache = cache(pages)) {
                List<PageTable> tables = new ArrayList<>();
                List<int[]> held = new ArrayList<>();
                for (int i = 0; i < 1 + random.nextInt(6); i++) {
                    tables.add(new PageTable());
                    held.add(new int[0]);
                }
                for (int step = 0; step < 200; step++) {
                    int which = random.nextInt(tables.size());
                    PageTable table = tables.get(which);
                    step(random, cache, pages, table, held.get(which));
                    held.set(which, pages(table));
                    int[] used =
                            held.stream().flatMapToInt(Arrays::stream).sorted().toArray();
                    assertThat(used).doesNotHaveDuplicates();
                    assertThat(cache.freePages()).as("step %d", step).isEqualTo(pages - used.length);
                }
                tables.forEach(table -> cache.release(table, 0));
                PageTable all = new PageTable();
                assertThat(cache.reserve(all, pages * PAGE)).isTrue();
                assertThat(pages(all))
                        .containsExactlyInAnyOrder(IntStream.range(0, pages).toArray());
            }
        });
    }

    private static void step(SplittableRandom random, KvCache cache, int pages, PageTable table, int[] before) {
        int positions = random.nextInt((pages + 2) * PAGE);
        int wanted = (positions + PAGE - 1) / PAGE;
        if (random.nextBoolean()) {
            boolean fits = wanted - before.length <= cache.freePages();
            assertThat(cache.reserve(table, positions)).isEqualTo(fits);
            assertThat(table.size()).isEqualTo(fits ? Math.max(wanted, before.length) : before.length);
            assertThat(Arrays.copyOf(pages(table), before.length)).isEqualTo(before);
        } else {
            cache.release(table, positions);
            assertThat(pages(table)).isEqualTo(Arrays.copyOf(before, Math.min(wanted, before.length)));
        }
    }

    /**
     * Any sequence of calls, with tables that begin alike: no page is lost, none is given away that somebody holds, and
     * who is to write to a page has it alone.
     */
    @Test
    void nobodyWritesToWhatAnotherHolds() {
        Seeds.forEach(300, random -> {
            int pages = 4 + random.nextInt(40);
            int slots = random.nextBoolean() ? 0 : 4;
            Device device = new ReferenceBackend().open(DeviceOptions.defaults());
            KvShape shape = new KvShape(1, 1, 2, pages, KvType.F32);
            try (KvCache cache = new KvCache(device, List.of(shape), slots)) {
                PageTable[] tables = {new PageTable(), new PageTable(), new PageTable(), new PageTable()};
                int[] positions = new int[tables.length];
                for (int step = 0; step < 200; step++) {
                    int which = random.nextInt(tables.length);
                    positions[which] = sharingStep(random, cache, tables, positions, which, slots);
                    List<Integer> held = Arrays.stream(tables)
                            .flatMapToInt(table -> Arrays.stream(pages(table)))
                            .boxed()
                            .toList();
                    int distinct = (int) held.stream().distinct().count();
                    assertThat(cache.freePages()).as("step %d", step).isEqualTo(pages - distinct);
                    assertThat(cache.heldByAlone(List.of(tables))).isEqualTo(distinct);
                    for (PageTable table : slots == 0 ? new PageTable[0] : tables) {
                        assertThat(table.size() == 0 || table.get(0) < slots).isTrue();
                    }
                }
                for (PageTable table : tables) {
                    cache.release(table, 0);
                }
                assertThat(cache.freePages()).isEqualTo(pages);
            }
        });
    }

    private static int sharingStep(
            SplittableRandom random, KvCache cache, PageTable[] tables, int[] positions, int which, int slots) {
        PageTable table = tables[which];
        int other = random.nextInt(tables.length);
        switch (random.nextInt(3)) {
            case 0 -> {
                int kept = random.nextInt(positions[which] + 1);
                cache.release(table, kept);
                return kept;
            }
            case 1 -> {
                cache.release(table, 0);
                if (other == which || slots > 0 && positions[other] > 0 && !cache.reserve(table, 1)) {
                    return 0;
                }
                cache.share(tables[other], table, positions[other]);
                assertThat(table.size()).isEqualTo(tables[other].size());
                return positions[other];
            }
            default -> {
                cache.release(table, positions[which]);
                if (!cache.own(table, positions[which])) {
                    return positions[which];
                }
                int more = positions[which] + 1 + random.nextInt(2 * PAGE);
                if (!cache.reserve(table, more)) {
                    return positions[which];
                }
                for (int i = positions[which] / PAGE; i < table.size(); i++) {
                    int page = table.get(i);
                    for (int t = 0; t < tables.length; t++) {
                        boolean holds = Arrays.stream(pages(tables[t])).anyMatch(each -> each == page);
                        assertThat(t != which && holds).isFalse();
                    }
                }
                return more;
            }
        }
    }
}

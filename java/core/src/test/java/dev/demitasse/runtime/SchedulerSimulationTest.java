package dev.demitasse.runtime;

import static org.assertj.core.api.Assertions.assertThat;

import dev.demitasse.kv.KvShape;
import dev.demitasse.sampling.Sampler;
import dev.demitasse.sampling.SamplingOptions;
import dev.demitasse.testkit.Seeds;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

/**
 * Random generations, cancellations and closings on a scheduler whose pages are checked entry by entry: the model of a
 * cache here remembers which token of which sequence each position of each page holds, and a token is chosen only where
 * all before it are there.
 */
class SchedulerSimulationTest {
    private static final int PAGE = KvShape.PAGE;

    /** What a position of a page holds. */
    private record Entry(Client client, int token) {}

    /** Somebody who generates, again and again. */
    private static final class Client {
        private final Sequence sequence = new Sequence();
        private int left;
    }

    private static final class Simulation implements AutoCloseable {
        private final SplittableRandom random;
        private final int pages;
        private final int maximumRows;
        private final int chunk;
        private final KvCache cache;
        private final Scheduler scheduler;
        private final Entry[] held;
        private final List<Client> clients = new ArrayList<>();
        /** Those that run, in the order in which they came. */
        private final List<Client> running = new ArrayList<>();

        Simulation(SplittableRandom random, int pages) {
            this.random = random;
            this.pages = pages;
            maximumRows = 1 + random.nextInt(40);
            chunk = 1 + random.nextInt(40);
            cache = KvCacheTest.cache(pages);
            scheduler = new Scheduler(cache, maximumRows, chunk, Integer.MAX_VALUE, new Drafts(), false);
            held = new Entry[pages * PAGE];
        }

        @Override
        public void close() {
            cache.close();
        }

        /** As the engine begins: a prompt that goes on where the sequence is, or one that begins alike, or any. */
        void begin(int longest) {
            Client client = random.nextInt(3) == 0 || clients.isEmpty() ? new Client() : pick(clients);
            if (running.contains(client)) {
                return;
            }
            if (!clients.contains(client)) {
                clients.add(client);
            }
            Sequence sequence = client.sequence;
            int kept = sequence.length() == 0 ? 0 : random.nextInt(Math.min(longest, sequence.length()) + 1);
            int length = Math.max(1, kept + random.nextInt(Math.max(1, longest / 2 - kept)));
            sequence.replace(
                    IntStream.range(0, length)
                            .map(i -> i < kept ? sequence.token(i) : random.nextInt(1000))
                            .toArray(),
                    false);
            cache.release(sequence.pages, sequence.cached());
            sequence.begin(new Sequence.Request(new Sampler(SamplingOptions.GREEDY), 1000, 0, 0, true));
            client.left = 1 + random.nextInt(Math.max(1, longest - length));
            scheduler.add(sequence);
            running.add(client);
        }

        void cancel() {
            Client client = pick(clients);
            scheduler.remove(client.sequence);
            running.remove(client);
        }

        void leave() {
            Client client = pick(clients);
            client.sequence.close();
            scheduler.release(client.sequence);
            running.remove(client);
            clients.remove(client);
            assertThat(client.sequence.pages.size()).isZero();
        }

        private Client pick(List<Client> list) {
            return list.get(random.nextInt(list.size()));
        }

        private Client of(Sequence sequence) {
            return clients.stream()
                    .filter(client -> client.sequence == sequence)
                    .findAny()
                    .orElseThrow();
        }

        /** Schedules, runs, and commits, unless the device fails. */
        Batch step() {
            Batch batch = scheduler.next();
            assertThat(batch.rows().count()).isLessThanOrEqualTo(maximumRows);
            int row = 0;
            for (Batch.Part part : batch.parts()) {
                assertThat(running).contains(of(part.sequence()));
                assertThat(part.rows()).isBetween(1, Math.max(1 + part.again(), chunk));
                for (int i = 0; i < part.rows(); i++) {
                    run(batch, row++, part.sequence(), part.sequence().cached() + i);
                }
            }
            assertThat(row).isEqualTo(batch.rows().count());
            checkPages();
            if (random.nextInt(10) == 0) {
                return batch;
            }
            batch.parts().forEach(Batch.Part::commit);
            batch.sampled().forEach(this::choose);
            batch.sampled().forEach(this::takeBack);
            return batch;
        }

        private void run(Batch batch, int row, Sequence sequence, int position) {
            assertThat(batch.ids()[row]).isEqualTo(sequence.token(position));
            assertThat(batch.rows().positions()[row]).isEqualTo(position);
            int page = batch.rows().pages()[row][position / PAGE];
            held[page * PAGE + position % PAGE] = new Entry(of(sequence), sequence.token(position));
        }

        /** As after drafts of which one was wrong, where there is a state. */
        private void takeBack(Sequence sequence) {
            if (random.nextInt(5) == 0 && sequence.cached() > 0) {
                sequence.takeBack(sequence.cached() - 1 - random.nextInt(Math.min(6, sequence.cached())));
            }
        }

        private void choose(Sequence sequence) {
            assertThat(sequence.pending()).isZero();
            Client client = of(sequence);
            for (int position = 0; position < sequence.length(); position++) {
                int page = sequence.pages.pages()[position / PAGE];
                assertThat(held[page * PAGE + position % PAGE]).isEqualTo(new Entry(client, sequence.token(position)));
            }
            sequence.append(random.nextInt(1000));
            if (--client.left == 0) {
                scheduler.remove(sequence);
                running.remove(client);
            }
        }

        /** Every page is free, or in one table. */
        private void checkPages() {
            int[] used = clients.stream()
                    .flatMapToInt(client -> java.util.Arrays.stream(client.sequence.pages.pages())
                            .limit(client.sequence.pages.size()))
                    .sorted()
                    .toArray();
            assertThat(used).doesNotHaveDuplicates();
            assertThat(cache.freePages()).isEqualTo(pages - used.length);
        }

        /** Who runs next where there are pages for all: those that decode, then prompts in chunks. */
        List<Batch.Part> expected() {
            List<Batch.Part> parts = new ArrayList<>();
            List<Client> prompts = new ArrayList<>();
            int free = maximumRows;
            for (Client client : running) {
                Sequence sequence = client.sequence;
                if (sequence.isDecoding() && sequence.pending() <= free) {
                    parts.add(new Batch.Part(sequence, sequence.pending(), sequence.again(), 0));
                    free -= sequence.pending();
                } else {
                    prompts.add(client);
                }
            }
            for (Client client : prompts) {
                Sequence sequence = client.sequence;
                int rows = Math.min(Math.min(sequence.pending(), chunk), free);
                if (rows > 0) {
                    parts.add(new Batch.Part(sequence, rows, Math.min(sequence.again(), rows), 0));
                    free -= rows;
                }
            }
            return parts;
        }

        /** Nobody else comes: all end, and give everything back. */
        void drain() {
            for (int steps = 0; !running.isEmpty(); steps++) {
                assertThat(steps).as("all come to their end").isLessThan(100_000);
                step();
            }
            assertThat(scheduler.next().rows().count()).isZero();
            while (!clients.isEmpty()) {
                leave();
            }
            assertThat(scheduler.idle()).isZero();
            assertThat(cache.freePages()).isEqualTo(pages);
        }
    }

    @Test
    void whereThereAreFewPagesAllComeToTheirEndWithTheirOwnTokens() {
        Seeds.forEach(200, random -> {
            int pages = 1 + random.nextInt(8);
            try (Simulation simulation = new Simulation(random, pages)) {
                for (int i = 0; i < 150; i++) {
                    switch (random.nextInt(12)) {
                        case 0, 1, 2 -> simulation.begin(pages * PAGE);
                        case 3 -> {
                            if (!simulation.clients.isEmpty()) {
                                simulation.cancel();
                            }
                        }
                        case 4 -> {
                            if (!simulation.clients.isEmpty()) {
                                simulation.leave();
                            }
                        }
                        default -> simulation.step();
                    }
                }
                simulation.drain();
            }
        });
    }

    @Test
    void whereThereArePagesForAllTheOrderIsThatOfArrival() {
        Seeds.forEach(100, random -> {
            try (Simulation simulation = new Simulation(random, 400)) {
                for (int i = 0; i < 60; i++) {
                    if (random.nextInt(3) == 0) {
                        simulation.begin(4 * PAGE);
                    }
                    List<Batch.Part> expected = simulation.expected();
                    assertThat(simulation.step().parts()).isEqualTo(expected);
                }
                simulation.drain();
            }
        });
    }
}

package dev.demitasse.testkit;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.demitasse.Generation;
import dev.demitasse.GenerationOptions;
import dev.demitasse.Grammar;
import dev.demitasse.Model;
import dev.demitasse.ModelOptions;
import dev.demitasse.Session;
import dev.demitasse.device.DeviceOptions;
import dev.demitasse.exception.UsageException;
import dev.demitasse.sampling.FinishReason;
import dev.demitasse.sampling.SamplingOptions;
import java.time.Duration;
import java.util.List;
import java.util.SplittableRandom;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** Sessions under everything that threads can do to them, on a device of several threads' speed. */
public abstract class SessionContractTest {
    private static final int[] PROMPT = {5, 6, 7};
    private static final GenerationOptions OPTIONS =
            GenerationOptions.GREEDY.withMaximumTokens(30).withIgnoreEnd(true);

    private final String backend;

    final long seed = Long.getLong("demitasse.seed", 20261126L);

    /** For one backend. */
    protected SessionContractTest(String backend) {
        this.backend = backend;
    }

    private Model load() {
        return Model.load(
                Golden.tiny("llama"),
                ModelOptions.DEFAULT
                        .withBackend(backend)
                        .withContextLength(128)
                        .withDevice(DeviceOptions.defaults().withThreads(1)));
    }

    private enum Deed {
        CLOSE,
        CANCEL,
        INTERRUPT,
        DEADLINE,
        NOTHING
    }

    /**
     * Ten thousand answers, each closed, cancelled, interrupted or left alone at a random moment, also in its first
     * microseconds, while another thread asks and asks: each ends at once, with a beginning of the right answer, and
     * the other's answers are right.
     */
    @Test
    @Timeout(300)
    public void answersThatAreEndedAtAnyMomentEndAndDisturbNobody() throws Exception {
        try (Model model = load();
                ExecutorService threads = Executors.newCachedThreadPool()) {
            List<Integer> right;
            try (Session session = model.newSession()) {
                right = session.generate(PROMPT, OPTIONS, text -> {}).tokens();
            }
            AtomicBoolean over = new AtomicBoolean();
            Future<Integer> other = threads.submit(() -> askOn(model, right, over));
            try {
                SplittableRandom random = new SplittableRandom(seed);
                for (int round = 0; round < 4_000; round++) {
                    Deed deed = Deed.values()[random.nextInt(Deed.values().length)];
                    long nanoseconds = random.nextInt(3) == 0 ? random.nextInt(5_000) : random.nextInt(400_000);
                    endOne(model, threads, deed, nanoseconds, right, "round " + round + ", seed " + seed);
                }
            } finally {
                over.set(true);
            }
            assertThat(other.get(60, TimeUnit.SECONDS)).isPositive();
        }
    }

    /** Sessions whose answers are of a grammar are decoded beside others, and disturb nobody. */
    @Test
    @Timeout(60)
    public void answersOfAGrammarAreTextsOfItBesideOthers() throws Exception {
        Grammar grammar = Grammar.regex("([a-c]{2,5}, ){6}[0-9]{1,3}");
        GenerationOptions constrained =
                OPTIONS.withMaximumTokens(100).withDrafts(0).withGrammar(grammar);
        try (Model model = load();
                ExecutorService threads = Executors.newCachedThreadPool();
                Session plain = model.newSession()) {
            List<Integer> right = plain.generate(PROMPT, OPTIONS, text -> {}).tokens();
            AtomicBoolean over = new AtomicBoolean();
            Future<Integer> other = threads.submit(() -> askOn(model, right, over));
            try (Session session = model.newSession()) {
                for (int round = 0; round < 20; round++) {
                    GenerationOptions options = constrained.withSampling(
                            SamplingOptions.DEFAULT.withTemperature(round % 2).withSeed(seed + round));
                    Generation answer = session.generate(PROMPT, options, text -> {});
                    assertThat(answer.finishReason())
                            .as("seed %d, round %d", seed, round)
                            .isEqualTo(FinishReason.STOP);
                    assertThat(grammar.matches(answer.text())).as(answer.text()).isTrue();
                }
            } finally {
                over.set(true);
            }
            assertThat(other.get(60, TimeUnit.SECONDS)).isPositive();
        }
    }

    private static int askOn(Model model, List<Integer> right, AtomicBoolean over) {
        int answers = 0;
        try (Session session = model.newSession()) {
            for (; !over.get(); answers++) {
                assertThat(session.generate(PROMPT, OPTIONS, text -> {}).tokens())
                        .isEqualTo(right);
            }
        }
        return answers;
    }

    private static void end(AutoCloseable early) {
        try {
            early.close();
        } catch (Exception e) {
            throw new AssertionError(e);
        }
    }

    private static void endOne(
            Model model, ExecutorService threads, Deed deed, long nanoseconds, List<Integer> right, String round)
            throws Exception {
        AtomicBoolean kept = new AtomicBoolean();
        AtomicBoolean entered = new AtomicBoolean();
        GenerationOptions options =
                deed == Deed.DEADLINE ? OPTIONS.withDeadline(Duration.ofNanos(nanoseconds)) : OPTIONS;
        try (Session session = model.newSession()) {
            Thread[] worker = new Thread[1];
            Future<Generation> answer = threads.submit(() -> {
                worker[0] = Thread.currentThread();
                entered.set(true);
                try {
                    return session.generate(PROMPT, options, text -> {});
                } finally {
                    kept.set(Thread.interrupted());
                }
            });
            while (!entered.get()) {
                Thread.onSpinWait();
            }
            for (long until = System.nanoTime() + nanoseconds; System.nanoTime() < until; ) {
                Thread.onSpinWait();
            }
            boolean running = !answer.isDone();
            switch (deed) {
                case CLOSE -> end(session);
                case CANCEL -> session.cancel();
                case INTERRUPT -> {
                    if (running) {
                        worker[0].interrupt();
                    }
                }
                default -> {}
            }
            try {
                Generation generation = answer.get(60, TimeUnit.SECONDS);
                int count = generation.tokens().size();
                assertThat(generation.tokens()).as(round).isEqualTo(right.subList(0, count));
                boolean whole = count == right.size();
                FinishReason expected = whole && generation.finishReason() == FinishReason.LENGTH
                        ? FinishReason.LENGTH
                        : deed == Deed.DEADLINE ? FinishReason.DEADLINE : FinishReason.CANCELLED;
                assertThat(generation.finishReason()).as(round).isEqualTo(expected);
                if (deed == Deed.INTERRUPT && expected == FinishReason.CANCELLED) {
                    assertThat(kept).as("interrupt flag, " + round).isTrue();
                }
                assertThat(deed != Deed.NOTHING || whole).as(round).isTrue();
            } catch (ExecutionException e) {
                assertThat(e.getCause())
                        .as(round)
                        .isInstanceOf(UsageException.class)
                        .hasMessageContaining("closed");
                assertThat(deed).isEqualTo(Deed.CLOSE);
            }
        }
    }

    /** A session that waits for its turn behind a long prompt is closed: both calls end, and the model goes on. */
    @Test
    @Timeout(180)
    public void closingASessionThatWaitsDoesNotStopTheModel() throws Exception {
        try (Model model = load();
                ExecutorService threads = Executors.newCachedThreadPool()) {
            for (int i = 0; i < 200; i++) {
                try (Session first = model.newSession();
                        Session second = model.newSession()) {
                    Future<Generation> one = threads.submit(() -> first.generate(new int[90], OPTIONS, text -> {}));
                    Future<Generation> two = threads.submit(() -> second.generate(PROMPT, OPTIONS, text -> {}));
                    end(second);
                    assertThat(one.get(60, TimeUnit.SECONDS).tokens()).hasSize(30);
                    try {
                        assertThat(two.get(60, TimeUnit.SECONDS).finishReason()).isIn((Object[]) FinishReason.values());
                    } catch (ExecutionException e) {
                        assertThat(e.getCause()).isInstanceOf(UsageException.class);
                    }
                }
            }
        }
    }

    /**
     * A thread that is interrupted before it asks gets nothing, at once, and keeps its flag; a model closed meanwhile
     * says so.
     */
    @Test
    @Timeout(180)
    public void anInterruptedThreadIsAnsweredAtOnce() {
        try (Model model = load();
                Session session = model.newSession()) {
            Thread.currentThread().interrupt();
            Generation none = session.generate(PROMPT, OPTIONS, text -> {});
            assertThat(Thread.interrupted()).isTrue();
            assertThat(none.tokens()).isEmpty();
            assertThat(none.finishReason()).isEqualTo(FinishReason.CANCELLED);
            assertThat(session.generate(PROMPT, OPTIONS, text -> {}).tokens()).hasSize(30);
            assertThatThrownBy(() -> session.generate(PROMPT, OPTIONS, text -> end(model)))
                    .isInstanceOf(UsageException.class)
                    .hasMessageContaining("closed");
        }
    }

    /** A cancellation ends the call that runs, or the first one; later calls are not concerned. */
    @Test
    @Timeout(180)
    public void aCancellationBelongsToItsCall() {
        try (Model model = load();
                Session session = model.newSession()) {
            session.cancel();
            assertThat(session.generate(PROMPT, OPTIONS, text -> {}).finishReason())
                    .isEqualTo(FinishReason.CANCELLED);
            session.cancel();
            assertThat(session.generate(PROMPT, OPTIONS, text -> {}).finishReason())
                    .isEqualTo(FinishReason.LENGTH);
        }
    }
}

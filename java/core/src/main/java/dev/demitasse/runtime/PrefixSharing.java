package dev.demitasse.runtime;

import dev.demitasse.device.Device;
import dev.demitasse.kv.KvShape;
import dev.demitasse.model.Transformer;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;

/**
 * Lets sequences begin with what others of their salt have computed of the same tokens (prefix caching): they hold the
 * same pages, and a page to which one of them is to write is copied first. Guarded by the engine's lock.
 *
 * <p>Who has most in common is found by comparing tokens: who is closed has a page of its own, and most differ within
 * the first few. That takes microseconds, where a page's tokens take milliseconds.
 */
final class PrefixSharing {
    /** Tokens that must be saved by it. */
    private static final int LEAST = KvShape.PAGE;

    private final Device device;
    private final Transformer transformer;
    private final KvCache cache;
    private final Scheduler scheduler;

    /** It owns nothing of what it is given. */
    PrefixSharing(Device device, Transformer transformer, KvCache cache, Scheduler scheduler) {
        this.device = device;
        this.transformer = transformer;
        this.cache = cache;
        this.scheduler = scheduler;
    }

    /**
     * Where another sequence has cached more of a prompt, the sequence has so, too.
     *
     * @return tokens of the prompt that another has cached, whether or not there is a state to go on from
     */
    int adopt(Sequence sequence, int[] prompt) {
        String salt = sequence.salt();
        if (salt == null) {
            return 0;
        }
        List<Sequence> others = scheduler.sharing().stream()
                .filter(other -> other != sequence && salt.equals(other.salt()))
                .toList();
        int common = others.stream()
                .mapToInt(other -> other.sharable(prompt, false))
                .max()
                .orElse(0);
        adopt(sequence, prompt, others);
        return common;
    }

    private void adopt(Sequence sequence, int[] prompt, List<Sequence> others) {
        boolean states = transformer.hasStates();
        Optional<Sequence> best = others.stream().max(Comparator.comparingInt(other -> other.sharable(prompt, states)));
        if (best.isEmpty() || best.get().sharable(prompt, states) < sequence.reusable(prompt, states) + LEAST) {
            return;
        }
        Sequence other = best.get();
        scheduler.giveUp(sequence);
        boolean retired = scheduler.isRetired(other);
        int common = other.sharable(prompt, false);
        boolean spent = states ? !other.keepsBehind(common) : common == other.cached();
        if (retired && spent) {
            takeOver(other, sequence); // of no use to others
        } else if (!states || hasFirstPage(other, sequence)) {
            share(other, sequence);
            scheduler.renew(other);
        } else if (retired) {
            takeOver(other, sequence); // there is no other number
        }
    }

    /** Makes a sequence that has nothing cached what another is, as far as there is room. */
    void fork(Sequence from, Sequence to) {
        if (from.cached() > 0 && (!transformer.hasStates() || hasFirstPage(from, to))) {
            share(from, to);
        }
    }

    /** Makes the page of a sequence's next row its own, that of a sequence that is idle if need be. */
    void own(Sequence sequence) {
        while (!cache.own(sequence.pages, sequence.cached())) {
            if (!scheduler.reclaim()) {
                giveUpLastPage(sequence);
                return;
            }
        }
    }

    private void giveUpLastPage(Sequence sequence) {
        if (transformer.hasStates()) {
            scheduler.giveUp(sequence);
        } else {
            sequence.cutBack(sequence.cached() / KvShape.PAGE * KvShape.PAGE);
            cache.release(sequence.pages, sequence.cached());
        }
    }

    private void takeOver(Sequence retired, Sequence sequence) {
        scheduler.forget(retired);
        sequence.takeOver(retired);
    }

    private void share(Sequence from, Sequence to) {
        try {
            cache.share(from.pages, to.pages, from.cached());
            if (transformer.hasStates()) {
                int slot = from.pages.get(0);
                transformer.forkState(from.stale(), from.keptForOthers(), slot, to.pages.get(0));
                device.start(); // now, since what another sequence does may drop what waits
            }
        } catch (RuntimeException | Error e) {
            scheduler.giveUp(to);
            throw e;
        }
        to.become(from);
    }

    /** Gives a sequence a page that is its number, where there is one without taking that of {@code but}. */
    private boolean hasFirstPage(Sequence but, Sequence sequence) {
        while (!cache.reserve(sequence.pages, 1)) {
            if (!scheduler.reclaimBut(but)) {
                return false;
            }
        }
        return true;
    }
}

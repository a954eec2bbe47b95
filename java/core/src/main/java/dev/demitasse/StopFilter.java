package dev.demitasse;

import java.util.List;

/** Lets text through up to the first stop text, and holds back what may be the beginning of one. */
final class StopFilter {
    private final List<String> stops;
    private final StringBuilder held = new StringBuilder();
    private boolean stopped;

    StopFilter(List<String> stops) {
        this.stops = stops;
    }

    /** The text that is certain now. */
    String append(String text) {
        held.append(text);
        int end = -1;
        for (String stop : stops) {
            int at = held.indexOf(stop);
            end = at >= 0 && (end < 0 || at < end) ? at : end;
        }
        if (end >= 0) {
            stopped = true;
            return take(end);
        }
        int keep = 0;
        for (String stop : stops) {
            for (int length = Math.min(stop.length() - 1, held.length()); length > keep; length--) {
                if (held.substring(held.length() - length).equals(stop.substring(0, length))) {
                    keep = length;
                }
            }
        }
        return take(held.length() - keep);
    }

    /** What was held back, when no more comes. */
    String finish() {
        return stopped ? "" : take(held.length());
    }

    boolean stopped() {
        return stopped;
    }

    private String take(int length) {
        String text = held.substring(0, length);
        held.delete(0, length);
        return text;
    }
}

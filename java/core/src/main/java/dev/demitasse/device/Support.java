package dev.demitasse.device;

/**
 * Whether something can be used here: ok, or the reason why not and the cure.
 *
 * @param ok whether it can
 * @param reason what stands against it, or what was found; one sentence without a full stop
 * @param cure what to do about it; empty where ok
 */
public record Support(boolean ok, String reason, String cure) {
    /** It can be used; {@code found} describes it. */
    public static Support yes(String found) {
        return new Support(true, found, "");
    }

    /** It cannot, for {@code reason}; {@code cure} says what to do. */
    public static Support no(String reason, String cure) {
        return new Support(false, reason, cure);
    }

    @Override
    public String toString() {
        return cure.isEmpty() ? reason : reason + "; " + cure;
    }
}

package dev.demitasse.device;

/**
 * Whether something can be used here: ok, or the reason why not and the cure.
 *
 * @param ok whether it can
 * @param reason what stands against it, or what was found; one sentence without a full stop
 * @param cure what to do about it; empty where ok
 * @param absent whether it is simply not there, so that nobody expects it: no fallback that anyone must hear of
 */
public record Support(boolean ok, String reason, String cure, boolean absent) {
    /** It can be used; {@code found} describes it. */
    public static Support yes(String found) {
        return new Support(true, found, "", false);
    }

    /** It cannot, for {@code reason}; {@code cure} says what to do. */
    public static Support no(String reason, String cure) {
        return new Support(false, reason, cure, false);
    }

    /** It is not there: the machine has no such hardware. */
    public static Support absent(String reason, String cure) {
        return new Support(false, reason, cure, true);
    }

    /**
     * Java was started so that what reaches memory or code outside of it is refused (JEP 472) to {@code user}'s module.
     */
    public static Support noNativeAccess(IllegalCallerException refusal, Class<?> user) {
        Module module = user.getModule();
        String allowed = module.isNamed() ? module.getName() : "ALL-UNNAMED";
        return no(
                "native access is not allowed: " + refusal.getMessage(),
                "start Java with --enable-native-access=" + allowed);
    }

    @Override
    public String toString() {
        return cure.isEmpty() ? reason : reason + "; " + cure;
    }
}

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
    /**
     * {@return that it can be used}
     *
     * @param found what was found: one sentence without a full stop
     */
    public static Support yes(String found) {
        return new Support(true, found, "", false);
    }

    /**
     * {@return that it cannot be used}
     *
     * @param reason what stands against it: one sentence without a full stop
     * @param cure what to do about it
     */
    public static Support no(String reason, String cure) {
        return new Support(false, reason, cure, false);
    }

    /**
     * {@return that it is not there: the machine has no such hardware}
     *
     * @param reason what is not there: one sentence without a full stop
     * @param cure what to do about it
     */
    public static Support absent(String reason, String cure) {
        return new Support(false, reason, cure, true);
    }

    /**
     * {@return that Java refuses a module what reaches memory or code outside of Java, as it was started so (JEP 472)}
     *
     * @param refusal what Java has thrown
     * @param user a class of that module
     */
    public static Support noNativeAccess(IllegalCallerException refusal, Class<?> user) {
        return no("native access is not allowed: " + refusal.getMessage(), flag(user.getModule()));
    }

    /**
     * {@return the refusal of a binding whose library Java does not load; where Java may have refused that because its
     * module is not named by {@code --enable-native-access}, the flag is in the cure}
     *
     * @param reason what failed
     * @param binding a class of the binding's module
     * @param cure what helps else
     */
    public static Support notLinked(String reason, Class<?> binding, String cure) {
        Module module = binding.getModule();
        return no(reason, module.isNativeAccessEnabled() ? cure : cure + ", or " + flag(module));
    }

    private static String flag(Module module) {
        return "start Java with --enable-native-access=" + (module.isNamed() ? module.getName() : "ALL-UNNAMED");
    }

    @Override
    public String toString() {
        return cure.isEmpty() ? reason : reason + "; " + cure;
    }
}

package dev.demitasse.cuda;

/**
 * A version of the driver, or one that kernels or a card ask for.
 *
 * @param number the newest CUDA that it is for, as the driver counts: 12080 for 12.8
 */
record DriverVersion(int number) {
    /** The first that knows cards of compute capability 10.0 and later. */
    private static final DriverVersion BLACKWELL = new DriverVersion(12080);

    private static final DriverVersion CUDA_13 = new DriverVersion(13000);

    /** What a card of that compute capability (80 for 8.0) asks for when it is to run {@code kernels} of a version. */
    static DriverVersion least(int capability, DriverVersion kernels) {
        return capability >= 100 && kernels.isOlderThan(BLACKWELL) ? BLACKWELL : kernels;
    }

    boolean isOlderThan(DriverVersion other) {
        return number < other.number;
    }

    /** The series of drivers that begins with it, by the number under which NVIDIA offers them. */
    int series() {
        if (isOlderThan(BLACKWELL)) {
            return 525;
        }
        return isOlderThan(CUDA_13) ? 570 : 580;
    }

    @Override
    public String toString() {
        return "CUDA " + number / 1000 + "." + number % 1000 / 10;
    }
}

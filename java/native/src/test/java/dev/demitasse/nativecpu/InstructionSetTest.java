package dev.demitasse.nativecpu;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.demitasse.Devices;
import dev.demitasse.device.ActivationType;
import dev.demitasse.device.Device;
import dev.demitasse.device.DeviceOptions;
import dev.demitasse.exception.BackendUnavailableException;
import dev.demitasse.testkit.DeviceContractTest;
import org.junit.jupiter.api.Nested;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledIf;

/**
 * The contract of a device for every instruction set that this machine has; the best one is also {@link
 * NativeDeviceTest}'s.
 */
@EnabledIf(value = "built", disabledReason = "the native library is not built: CMake or a C++ compiler is missing")
class InstructionSetTest {
    static boolean built() {
        return NativeLibrary.load().ok();
    }

    private static boolean has(InstructionSet set) {
        return built() && InstructionSet.available().contains(set);
    }

    abstract static class Contract extends DeviceContractTest {
        private final InstructionSet set;

        Contract(InstructionSet set) {
            super("native");
            this.set = set;
        }

        @Override
        protected DeviceOptions options(ActivationType activations) {
            return super.options(activations).withInstructionSet(set.label());
        }
    }

    @Nested
    @EnabledIf(value = "available", disabledReason = "this machine has no SSE4.2")
    class Sse42 extends Contract {
        Sse42() {
            super(InstructionSet.SSE42);
        }

        static boolean available() {
            return has(InstructionSet.SSE42);
        }
    }

    @Nested
    @EnabledIf(value = "available", disabledReason = "this machine has no AVX2")
    class Avx2 extends Contract {
        Avx2() {
            super(InstructionSet.AVX2);
        }

        static boolean available() {
            return has(InstructionSet.AVX2);
        }
    }

    @Nested
    @EnabledIf(value = "available", disabledReason = "this machine has no AVX-VNNI; its kernels are tested over SIMDe")
    class Avx2Vnni extends Contract {
        Avx2Vnni() {
            super(InstructionSet.AVX2_VNNI);
        }

        static boolean available() {
            return has(InstructionSet.AVX2_VNNI);
        }
    }

    @Nested
    @EnabledIf(
            value = "available",
            disabledReason = "this machine has no AVX-512 VNNI; its kernels are tested over SIMDe")
    class Avx512Vnni extends Contract {
        Avx512Vnni() {
            super(InstructionSet.AVX512_VNNI);
        }

        static boolean available() {
            return has(InstructionSet.AVX512_VNNI);
        }
    }

    @Nested
    @EnabledIf(value = "available", disabledReason = "this machine has no AMX; its kernels are tested in plain C++")
    class Amx extends Contract {
        Amx() {
            super(InstructionSet.AMX);
        }

        static boolean available() {
            return has(InstructionSet.AMX);
        }
    }

    @Test
    void anInstructionSetThatIsNotThereIsRefusedByName() {
        assertThatThrownBy(() -> Devices.open("native", DeviceOptions.defaults().withInstructionSet("mmx")))
                .isInstanceOf(BackendUnavailableException.class)
                .hasMessageContaining("mmx");
    }

    @Test
    void theBestInstructionSetIsTakenAndNamed() {
        try (Device device = Devices.open("native", DeviceOptions.defaults())) {
            assertThat(device.description())
                    .contains(InstructionSet.available().getLast().label());
        }
    }
}

package dev.demitasse.cli;

import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.classes;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;
import static com.tngtech.archunit.library.dependencies.SlicesRuleDefinition.slices;
import static org.assertj.core.api.Assertions.assertThat;

import com.tngtech.archunit.core.domain.JavaClass;
import com.tngtech.archunit.core.domain.JavaClasses;
import com.tngtech.archunit.core.importer.ClassFileImporter;
import com.tngtech.archunit.core.importer.ImportOption;
import com.tngtech.archunit.library.dependencies.SliceAssignment;
import com.tngtech.archunit.library.dependencies.SliceIdentifier;
import dev.demitasse.testkit.Golden;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.regex.MatchResult;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/** The rules of the rooms. */
class ArchitectureTest {
    private static final JavaClasses CLASSES = new ClassFileImporter()
            .withImportOption(ImportOption.Predefined.DO_NOT_INCLUDE_TESTS)
            .importPackages("dev.demitasse");

    /** Modules of devices, by package, with the room that each shares; only the service loader knows them. */
    private static final Map<String, String> DEVICES = Map.of(
            "dev.demitasse.vector..", "dev.demitasse.cpu..",
            "dev.demitasse.nativecpu..", "dev.demitasse.cpu..",
            "dev.demitasse.cuda..", "dev.demitasse.gpu..",
            "dev.demitasse.opencl..", "dev.demitasse.gpu..");

    private static final String[] SHARED = {"dev.demitasse.cpu..", "dev.demitasse.gpu.."};

    @Test
    void nobodyKnowsADeviceAndADeviceKnowsCoreAndItsSharedRoom() {
        DEVICES.forEach((device, shared) -> {
            noClasses()
                    .that()
                    .resideOutsideOfPackages(device, "dev.demitasse.testkit..")
                    .should()
                    .dependOnClassesThat()
                    .resideInAPackage(device)
                    .check(CLASSES);
            String other = shared.equals(SHARED[0]) ? SHARED[1] : SHARED[0];
            noClasses()
                    .that()
                    .resideInAPackage(device)
                    .should()
                    .dependOnClassesThat()
                    .resideInAnyPackage(
                            other,
                            "dev.demitasse.cli..",
                            "dev.demitasse.reference..",
                            "dev.demitasse.template..",
                            "dev.demitasse.testkit..")
                    .check(CLASSES);
        });
        noClasses()
                .that()
                .resideOutsideOfPackages("dev.demitasse.cli..", "dev.demitasse.testkit..")
                .should()
                .dependOnClassesThat()
                .resideInAnyPackage("dev.demitasse.cli..", "dev.demitasse.testkit..")
                .check(CLASSES);
    }

    /** What is shared by the devices of a kind is known to those alone, and the template engine knows nobody. */
    @Test
    void sharedRoomsAreForTheirDevicesAndTheTemplateEngineStandsAlone() {
        noClasses()
                .that()
                .resideOutsideOfPackages("dev.demitasse.cpu..", "dev.demitasse.vector..", "dev.demitasse.nativecpu..")
                .should()
                .dependOnClassesThat()
                .resideInAPackage("dev.demitasse.cpu..")
                .check(CLASSES);
        noClasses()
                .that()
                .resideOutsideOfPackages("dev.demitasse.gpu..", "dev.demitasse.cuda..", "dev.demitasse.opencl..")
                .should()
                .dependOnClassesThat()
                .resideInAPackage("dev.demitasse.gpu..")
                .check(CLASSES);
        classes()
                .that()
                .resideInAPackage("dev.demitasse.template..")
                .should()
                .onlyDependOnClassesThat()
                .resideInAnyPackage("dev.demitasse.template..", "java..", "com.fasterxml.jackson..", "org.jspecify..")
                .check(CLASSES);
    }

    @Test
    void theForwardPassKnowsNeitherDevicesNorThreads() {
        noClasses()
                .that()
                .resideInAPackage("dev.demitasse.model..")
                .should()
                .dependOnClassesThat()
                .resideInAnyPackage(
                        "dev.demitasse.reference..",
                        "dev.demitasse.runtime..",
                        "dev.demitasse.vector..",
                        "dev.demitasse.nativecpu..",
                        "dev.demitasse.cuda..",
                        "dev.demitasse.opencl..",
                        "java.util.concurrent..")
                .check(CLASSES);
    }

    /** All packages, the API's own included. */
    @Test
    void packagesHaveNoCircles() {
        slices().assignedFrom(new SliceAssignment() {
                    @Override
                    public SliceIdentifier getIdentifierOf(JavaClass javaClass) {
                        return SliceIdentifier.of(javaClass.getPackageName());
                    }

                    @Override
                    public String getDescription() {
                        return "packages";
                    }
                })
                .should()
                .beFreeOfCycles()
                .check(CLASSES);
    }

    @Test
    void namesSayWhatThingsAre() {
        noClasses().should().haveSimpleNameEndingWith("Utils").check(CLASSES);
        noClasses().should().haveSimpleNameEndingWith("Util").check(CLASSES);
        noClasses().should().haveSimpleNameEndingWith("Manager").check(CLASSES);
        noClasses().should().haveSimpleNameEndingWith("Impl").check(CLASSES);
        classes()
                .that()
                .areAssignableTo(Throwable.class)
                .should()
                .haveSimpleNameEndingWith("Exception")
                .check(CLASSES);
    }

    /**
     * The matrix of docs/devices.md: every operation in a row, every kernel file in it, and every kernel that it
     * names a file.
     */
    @Test
    void theReadmesMatrixNamesEveryOperation() throws IOException {
        String readme = Files.readString(Golden.root().resolve("docs/devices.md"));
        for (var method : dev.demitasse.device.Device.class.getDeclaredMethods()) {
            List<String> others = List.of(
                    "name",
                    "description",
                    "threads",
                    "freeBytes",
                    "activations",
                    "allocate",
                    "upload",
                    "uploadGroup",
                    "allocateKv",
                    "allocateRoutes",
                    "allocateTokens",
                    "run",
                    "runsAhead",
                    "start",
                    "discard",
                    "close");
            if (!others.contains(method.getName()) && !method.isSynthetic()) {
                assertThat(readme).as("matrix row").contains("| `" + method.getName() + "` |");
            }
        }
        Pattern contract = Pattern.compile("^(//| \\*) Computes:", Pattern.MULTILINE);
        for (String folder : List.of(
                "java/vector/src/main/java/dev/demitasse/vector", "native/kernels", "cuda/kernels", "opencl/kernels")) {
            for (Path file : files(folder)) {
                if (contract.matcher(Files.readString(file)).find()) {
                    assertThat(readme).as("matrix row").containsPattern("\\b" + stem(file) + "\\b");
                }
            }
        }
        Set<String> stems = new HashSet<>();
        for (String folder : List.of("native/kernels", "cuda/kernels", "opencl/kernels")) {
            files(folder).forEach(file -> stems.add(stem(file)));
        }
        for (String row :
                readme.lines().filter(line -> line.matches("\\| `\\w+` \\|.*")).toList()) {
            assertThat(stems)
                    .as("kernels named in %s", row)
                    .containsAll(Pattern.compile("\\b[a-z0-9]+(?:_[a-z0-9]+)+\\b")
                            .matcher(row)
                            .results()
                            .map(MatchResult::group)
                            .toList());
        }
    }

    private static List<Path> files(String folder) throws IOException {
        try (Stream<Path> files = Files.list(Golden.root().resolve(folder))) {
            return files.filter(Files::isRegularFile).sorted().toList();
        }
    }

    /** A kernel file's name without variant and language. */
    private static String stem(Path file) {
        return String.valueOf(file.getFileName()).replaceFirst("\\..*", "");
    }
}

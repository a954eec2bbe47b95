#!/usr/bin/env python3
"""Checks a Maven repository of what is to be released: ci/release_check.py REPOSITORY

Each artifact's POM has a name, a description, an address, a license, developers and where the source is; a jar has its
sources and Javadoc beside it, the license within, a name as a module, and what its code loads: native libraries of
all platforms, and kernels. Nothing that tests alone need is there.
"""
import pathlib
import re
import sys
import xml.etree.ElementTree
import zipfile

SPACE = "{http://maven.apache.org/POM/4.0.0}"
WANTED = ("name", "description", "url", "licenses", "developers", "scm")
LOADED = {
    "demitasse-native": [f"dev/demitasse/nativecpu/{file}" for file in (
        "linux-x86_64/libdemitasse.so", "linux-aarch64/libdemitasse.so", "macos-aarch64/libdemitasse.dylib",
        "windows-x86_64/demitasse.dll")],
    "demitasse-cuda": ["dev/demitasse/cuda/kernels.txt", "dev/demitasse/cuda/gemm_int8.fatbin"],
}
TESTS_ONLY = ("demitasse-testkit", "demitasse-bench", "demitasse-cli")


def faults_of_pom(path, parents):
    pom = xml.etree.ElementTree.parse(path).getroot()
    inherited = pom.find(SPACE + "parent")
    of = [pom] if inherited is None else [pom, parents[inherited.find(SPACE + "artifactId").text]]
    missing = [name for name in WANTED if all(each.find(SPACE + name) is None for each in of)]
    return [f"{path.name}: no {name}" for name in missing]


def faults_of_jar(path):
    faults = []
    with zipfile.ZipFile(path) as jar:
        names = set(jar.namelist())
        if "META-INF/LICENSE" not in names:
            faults.append(f"{path.name}: no license")
        loaded = LOADED.get(path.parent.parent.name, [])
        faults += [f"{path.name}: no {name}" for name in loaded if name not in names]
        manifest = jar.read("META-INF/MANIFEST.MF").decode()
        if "module-info.class" not in names and "Automatic-Module-Name" not in manifest:
            faults.append(f"{path.name}: no module's name")
    for kind in ("sources", "javadoc"):
        if not path.with_name(f"{path.stem}-{kind}.jar").exists():
            faults.append(f"{path.name}: no {kind}")
    return faults


def main(repository):
    poms = sorted(repository.rglob("*.pom"))
    parents = {pom.parent.parent.name: xml.etree.ElementTree.parse(pom).getroot() for pom in poms}
    faults = [fault for pom in poms for fault in faults_of_pom(pom, parents)]
    faults += [f"{name} is there" for name in TESTS_ONLY if name in parents]
    beside = re.compile(r"-(sources|javadoc|tests)\.jar$")
    jars = [jar for jar in sorted(repository.rglob("*.jar")) if not beside.search(jar.name)]
    for jar in jars:
        faults += faults_of_jar(jar)
    print(f"release: {len(poms)} artifacts, {len(jars)} jars of classes, {len(faults)} faults")
    for fault in faults:
        print(f"  {fault}")
    return 1 if faults or not jars else 0


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    sys.exit(main(pathlib.Path(sys.argv[1])))

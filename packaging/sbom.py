"""Writes a CycloneDX bill of materials of the three programs to standard output.

    sbom.py [--also NAME=VERSION]… TRIPLE…

It lists what `cargo metadata` resolves for the targets: what goes into the programs with the scope `required`, what only
helps to build them (build scripts, procedure macros) with the scope `excluded`. --also names what is linked in without
being a crate. The same input gives the same bytes. Python 3.11 or newer, standard library only.
"""

import argparse
import json
import subprocess
import tomllib


def reached(nodes, start, follow):
    seen, waiting = set(), [start]
    while waiting:
        if (package := waiting.pop()) not in seen:
            seen.add(package)
            waiting += [
                dependency["pkg"]
                for dependency in nodes[package]["deps"]
                if any(kind["kind"] in follow for kind in dependency["dep_kinds"])
            ]
    return seen


def is_macro(package):
    return any("proc-macro" in target["kind"] for target in package["targets"])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--also", action="append", default=[])
    parser.add_argument("triples", nargs="+")
    options = parser.parse_args()

    command = ["cargo", "metadata", "--locked", "--format-version=1"]
    command += [f"--filter-platform={triple}" for triple in options.triples]
    metadata = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    packages = {package["id"]: package for package in metadata["packages"]}
    nodes = {node["id"]: node for node in metadata["resolve"]["nodes"]}
    root = metadata["resolve"]["root"]
    with open("Cargo.lock", "rb") as lock:
        checksums = {(package["name"], package["version"]): package.get("checksum") for package in tomllib.load(lock)["package"]}

    for identity, node in nodes.items():
        # Nothing that only a procedure macro needs is linked into the programs.
        if is_macro(packages[identity]):
            for dependency in node["deps"]:
                dependency["dep_kinds"] = [{"kind": "build"}]
    linked = {identity for identity in reached(nodes, root, {None}) if not is_macro(packages[identity])}
    components = []
    for identity in reached(nodes, root, {None, "build"}) - {root}:
        package = packages[identity]
        component = {
            "type": "library",
            "name": package["name"],
            "version": package["version"],
            "scope": "required" if identity in linked else "excluded",
            "purl": f"pkg:cargo/{package['name']}@{package['version']}",
        }
        if checksum := checksums[package["name"], package["version"]]:
            component["hashes"] = [{"alg": "SHA-256", "content": checksum}]
        if package["license"]:
            component["licenses"] = [{"expression": package["license"].replace("/", " OR ")}]
        components.append(component)
    for also in options.also:
        name, version = also.split("=")
        components.append({"type": "library", "name": name, "version": version, "scope": "required"})
    components.sort(key=lambda component: (component["name"], component["version"]))

    this = packages[root]
    bill = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {
            "component": {
                "type": "application",
                "name": this["name"],
                "version": this["version"],
                "licenses": [{"expression": this["license"]}],
            }
        },
        "components": components,
    }
    print(json.dumps(bill, indent=1, ensure_ascii=False))


if __name__ == "__main__":
    main()

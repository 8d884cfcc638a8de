import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";

interface LockedPackage {
  readonly version: string;
  readonly resolved?: string;
  readonly integrity?: string;
  readonly license?: string;
  readonly dev?: boolean;
  readonly hasInstallScript?: boolean;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

const read = (file: string) => JSON.parse(readFileSync(new URL(`../../${file}`, import.meta.url), "utf8")) as unknown;
const manifest = read("package.json") as {
  readonly dependencies: Readonly<Record<string, string>>;
  readonly devDependencies: Readonly<Record<string, string>>;
  readonly allowScripts: Readonly<Record<string, boolean>>;
};
const lock = read("package-lock.json") as { readonly packages: Readonly<Record<string, LockedPackage>> };
const packages = Object.entries(lock.packages).filter(([path]) => path !== "");
const nameOf = (path: string) => path.slice(path.lastIndexOf("node_modules/") + "node_modules/".length);

describe("the lock file", () => {
  it("names no registry, so that packages come from wherever npm is configured to get them", () => {
    expect(packages.filter(([, { resolved }]) => resolved !== undefined).map(([path]) => path)).toEqual([]);
  });

  it("has the binaries of every platform: npm 11 refuses one that lacks any", () => {
    const missing = packages.flatMap(([path, { optionalDependencies = {} }]) =>
      Object.keys(optionalDependencies).filter(
        (name) => !(`node_modules/${name}` in lock.packages || `${path}/node_modules/${name}` in lock.packages),
      ),
    );
    expect(missing).toEqual([]);
  });

  it("does not tell npm of onnxruntime-node's install script, which would download CUDA libraries", () => {
    expect(lock.packages["node_modules/onnxruntime-node"]).toBeDefined();
    expect(lock.packages["node_modules/onnxruntime-node"]?.hasInstallScript).toBeUndefined();
    expect(manifest.allowScripts["onnxruntime-node"]).toBe(false);
  });

  it("has an install script only where package.json says that it may run", () => {
    const scripted = packages.filter(([, { dev, hasInstallScript }]) => dev !== true && hasInstallScript === true);
    expect(scripted.map(([path]) => nameOf(path)).filter((name) => manifest.allowScripts[name] !== true)).toEqual([]);
  });
});

it("package.json names exact versions", () => {
  const ranges = Object.entries({ ...manifest.dependencies, ...manifest.devDependencies });
  expect(ranges.filter(([, range]) => !/^\d+\.\d+\.\d+(-[\w.]+)?$/.test(range))).toEqual([]);
});

describe("licences", () => {
  const allowed = new Set([
    "MIT",
    "Apache-2.0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "ISC",
    "0BSD",
    "CC0-1.0",
    "BlueOak-1.0.0",
  ]);
  /** SPDX without nesting deeper than `(A OR B) AND C`. */
  const isAllowed = (licence: string) =>
    licence.split(" AND ").every((part) =>
      part
        .replaceAll(/[()]/g, "")
        .split(" OR ")
        .some((name) => allowed.has(name)),
    );

  it.each([
    ["MIT", true],
    ["(MIT OR GPL-3.0)", true],
    ["MIT AND GPL-3.0", false],
    ["GPL-3.0", false],
    ["", false],
  ])("%j is allowed: %s", (licence, expected) => expect(isAllowed(licence)).toBe(expected));

  it("everything that the product runs on is permissively licensed", () => {
    const shipped = packages.filter(([, { dev }]) => dev !== true);
    expect(shipped.length).toBeGreaterThan(Object.keys(manifest.dependencies).length);
    const refused = shipped.filter(([, { license = "" }]) => !isAllowed(license));
    expect(refused.map(([path, { license }]) => `${nameOf(path)}: ${license ?? "none"}`)).toEqual([]);
  });
});

import { createRequire } from 'node:module';
import type * as Cedar from '@cedar-policy/cedar-wasm/nodejs';

const require = createRequire(import.meta.url);

/** Cedar, compiled to WebAssembly: 13 MB, ready in 30 to 90 ms, with a memory of its own. */
export type CedarModule = typeof Cedar;

/**
 * An instance of its own. A policy that is nested too deeply overflows the instance's stack, and from then on every
 * call to it fails: it has to be thrown away, which the module's cache would not allow.
 */
export function createCedar(): CedarModule {
  const path = require.resolve('@cedar-policy/cedar-wasm/nodejs');
  delete require.cache[path];
  // The package is CommonJS: `require` knows no types.
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion
  return require(path) as CedarModule;
}

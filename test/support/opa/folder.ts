import { homedir } from 'node:os';
import { join } from 'node:path';

/** As `go.mod` beside this pins it. */
const VERSION = '1.22.2';
/** Outside of the checkout, as other things that can be built again. */
export const OPA_FOLDER = join(homedir(), '.cache', 'rookery', `opa-${VERSION}`);

/** The version of this package. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { packageRoot } from './load.js';
export const version = JSON.parse(readFileSync(join(packageRoot(), 'package.json'), 'utf8')).version;
//# sourceMappingURL=version.js.map
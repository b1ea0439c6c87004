/** The few file operations that the store is made of, so that a test can stop between any two of them. */
import { mkdir, open, readdir, readFile, realpath, rename, rm, stat } from 'node:fs/promises';
export const fileIo = {
    async read(path) {
        try {
            return await readFile(path, 'utf8');
        }
        catch (error) {
            if (error.code === 'ENOENT')
                return null;
            throw error;
        }
    },
    async write(path, text, mode) {
        await rm(path, { force: true });
        const file = await open(path, 'wx', mode);
        try {
            await file.chmod(mode);
            await file.writeFile(text);
            await file.sync();
        }
        finally {
            await file.close();
        }
    },
    async real(path) {
        try {
            const real = await realpath(path);
            return { path: real, mode: (await stat(real)).mode & 0o777 };
        }
        catch (error) {
            if (error.code === 'ENOENT')
                return null;
            throw error;
        }
    },
    rename,
    async syncDirectory(path) {
        const directory = await open(path, 'r');
        try {
            await directory.sync();
        }
        finally {
            await directory.close();
        }
    },
    async remove(path) { await rm(path, { force: true }); },
    list: async (path) => await readdir(path),
    async mkdir(path) { await mkdir(path, { recursive: true, mode: 0o700 }); },
};
//# sourceMappingURL=store-io.js.map
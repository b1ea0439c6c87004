// The web page of the gateway: bundled into dist/src/web/page, which the gateway reads (src/gateway/web-files.ts). Nothing inline, nothing from elsewhere: its policy forbids it.
import { defineConfig } from 'vite'

export default defineConfig({
  root: import.meta.dirname,
  esbuild: { jsx: 'automatic', jsxImportSource: 'preact' },
  build: { outDir: '../../dist/src/web/page', emptyOutDir: true, assetsInlineLimit: 0, modulePreload: { polyfill: false }, target: 'es2022', reportCompressedSize: true },
})

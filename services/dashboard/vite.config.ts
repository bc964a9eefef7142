/** Build of the dashboard: static files in `dist` that the console serves; nothing in them names another host. */
import tailwindcss from '@tailwindcss/vite';
import react from '@vitejs/plugin-react';
import { defaultClientConditions, defineConfig } from 'vite';

export default defineConfig({
  plugins: [react(), tailwindcss()],
  // Types and schemas of the wire come from shared's sources, so that a build needs no other build first.
  resolve: { conditions: ['tollgate-source', ...defaultClientConditions] },
  build: {
    outDir: 'dist',
    emptyOutDir: true,
    manifest: true,
    target: 'es2022',
    // Everything is a file: a strict policy allows no data: fonts or scripts.
    assetsInlineLimit: 0,
    reportCompressedSize: false,
    chunkSizeWarningLimit: 1600,
  },
  // `vite` alone serves the sources with the API of a running local start behind it.
  server: { port: 5173, proxy: { '/api': 'http://127.0.0.1:8081', '/openapi.json': 'http://127.0.0.1:8081' } },
});

import { fileURLToPath } from 'node:url';
import react from '@vitejs/plugin-react';
import { defineConfig, type PluginOption } from 'vite';

/** `MAINSTAY_URL` proxies a running server; without it `npm run dev` answers from the development fixtures. */
export default defineConfig(async ({ command }) => {
  const server = process.env.MAINSTAY_URL;
  const plugins: PluginOption[] = [react()];
  if (command === 'serve' && !server && !process.env.VITEST) {
    const { mock } = await import('./mock/plugin.ts');
    plugins.push(mock());
  }
  const forward = { target: server ?? '', changeOrigin: true };
  return {
    plugins,
    resolve: { alias: { '@': fileURLToPath(new URL('./src', import.meta.url)) } },
    preview: server ? { proxy: { '/api': forward, '/prometheus': forward } } : {},
    server: server ? { proxy: { '/api': forward, '/prometheus': forward, '/docs': forward } } : {},
    build: { target: 'es2022', sourcemap: false, manifest: true, assetsInlineLimit: 2048 },
    test: { environment: 'happy-dom', include: ['src/**/*.test.{ts,tsx}'] },
  };
});

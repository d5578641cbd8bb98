import './styles.css';
import { MantineProvider } from '@mantine/core';
import { QueryClient, QueryClientProvider } from '@tanstack/react-query';
import { RouterProvider } from '@tanstack/react-router';
import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import { ProblemError } from './api/client';
import { keepPage, loadAhead } from './app/offline';
import { makeRouter, PAGES } from './app/router';
import { theme, useScheme, variables } from './app/theme';

const queries = new QueryClient({
  defaultOptions: {
    queries: {
      staleTime: 15_000,
      refetchOnWindowFocus: true,
      retry: (count, error) =>
        !(error instanceof ProblemError && error.status >= 400 && error.status < 500) && count < 2,
    },
  },
});
const router = makeRouter(queries);

function App() {
  const { shown } = useScheme();
  return (
    <MantineProvider theme={theme} cssVariablesResolver={variables} forceColorScheme={shown}>
      <QueryClientProvider client={queries}>
        <RouterProvider router={router} />
      </QueryClientProvider>
    </MantineProvider>
  );
}

const root = document.getElementById('root');
if (root) {
  createRoot(root).render(
    <StrictMode>
      <App />
    </StrictMode>,
  );
  const sections = async () => {
    const { SECTION_PAGES } = await import('./app/admin');
    await Promise.all(SECTION_PAGES.map((load) => load()));
  };
  loadAhead([...PAGES, sections]);
  keepPage();
}

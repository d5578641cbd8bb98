/** Admin: people and what they may do, tokens, agents, channels, rules, audit. */
import { type ComponentType, lazy, Suspense } from 'react';
import { Headline, Tabs } from '@/parts/card';
import { Skeleton } from '@/parts/states';
import { useParam } from '@/parts/url';

interface Section {
  id: string;
  text: string;
  lede: string;
  page: ComponentType;
}

const SECTIONS: Section[] = [
  {
    id: 'people',
    text: 'People',
    lede: 'Who signs in, and what each may do, where.',
    page: lazy(async () => ({ default: (await import('@/slices/access/people')).People })),
  },
  {
    id: 'teams',
    text: 'Teams',
    lede: 'What is granted to a team is granted to its members.',
    page: lazy(async () => ({ default: (await import('@/slices/access/teams')).Teams })),
  },
  {
    id: 'tokens',
    text: 'Tokens',
    lede: 'Programs act as service accounts, with tokens that can be narrowed and that expire.',
    page: lazy(async () => ({ default: (await import('@/slices/access/tokens')).Tokens })),
  },
  {
    id: 'agents',
    text: 'Agents',
    lede: 'Each host keeps one outbound connection, with a certificate of this server.',
    page: lazy(async () => ({ default: (await import('@/slices/fleet/agents')).Agents })),
  },
  {
    id: 'channels',
    text: 'Channels',
    lede: 'How people are told. A test shows at once whether a channel works.',
    page: lazy(async () => ({ default: (await import('@/slices/notify/channels')).Channels })),
  },
  {
    id: 'rules',
    text: 'Rules',
    lede: 'When an alert fires. The files are Prometheus rule files.',
    page: lazy(async () => ({ default: (await import('@/slices/telemetry/rules')).Rules })),
  },
  {
    id: 'server',
    text: 'Server',
    lede: 'What runs here, and the copies of its data.',
    page: lazy(async () => ({ default: (await import('@/slices/access/server')).Server })),
  },
  {
    id: 'audit',
    text: 'Audit',
    lede: 'Who did what, from the event log, which nobody can change.',
    page: lazy(async () => ({ default: (await import('@/slices/access/audit')).Audit })),
  },
];

export function Admin() {
  const [tab] = useParam('tab', 'people');
  const section = SECTIONS.find((s) => s.id === tab) ?? (SECTIONS[0] as Section);
  const Page = section.page;
  return (
    <>
      <Headline tab={section.text} title={section.text} lede={section.lede} crumbs={[{ text: 'Admin' }]} />
      <Tabs tabs={SECTIONS} current={section.id} />
      <Suspense fallback={<Skeleton rows={5} />}>
        <Page />
      </Suspense>
    </>
  );
}

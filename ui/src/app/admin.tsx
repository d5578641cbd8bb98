/** Admin: people and roles, tokens, agents, channels, rules, audit. */
import { type ComponentType, lazy, Suspense } from 'react';
import { Headline, Tabs } from '@/parts/card';
import { Skeleton } from '@/parts/states';
import { useParam } from '@/parts/url';

interface Section {
  id: string;
  text: string;
  lede: string;
  load: () => Promise<{ default: ComponentType }>;
}

const ALL: Section[] = [
  {
    id: 'people',
    text: 'People',
    lede: 'People, their roles and scopes.',
    load: async () => ({ default: (await import('@/slices/access/people')).People }),
  },
  {
    id: 'teams',
    text: 'Teams',
    lede: 'Roles granted to a team apply to its members.',
    load: async () => ({ default: (await import('@/slices/access/teams')).Teams }),
  },
  {
    id: 'tokens',
    text: 'Tokens',
    lede: 'Service accounts and API tokens, with scopes and expiry.',
    load: async () => ({ default: (await import('@/slices/access/tokens')).Tokens }),
  },
  {
    id: 'agents',
    text: 'Agents',
    lede: 'Each agent keeps one outbound connection, authenticated by a certificate of this server.',
    load: async () => ({ default: (await import('@/slices/fleet/agents')).Agents }),
  },
  {
    id: 'channels',
    text: 'Channels',
    lede: 'Where notifications are sent. A test shows whether a channel works.',
    load: async () => ({ default: (await import('@/slices/notify/channels')).Channels }),
  },
  {
    id: 'rules',
    text: 'Rules',
    lede: 'Alerting and recording rules, in Prometheus format.',
    load: async () => ({ default: (await import('@/slices/telemetry/rules')).Rules }),
  },
  {
    id: 'server',
    text: 'Server',
    lede: 'Server health and snapshots.',
    load: async () => ({ default: (await import('@/slices/access/server')).Server }),
  },
  {
    id: 'audit',
    text: 'Audit',
    lede: 'Audit trail from the append-only event log.',
    load: async () => ({ default: (await import('@/slices/access/audit')).Audit }),
  },
];

const SECTIONS = ALL.map((section) => ({ ...section, page: lazy(section.load) }));

/** The code of every section. */
export const SECTION_PAGES = ALL.map((section) => section.load);

export function Admin() {
  const [tab] = useParam('tab', 'people');
  const section = SECTIONS.find((s) => s.id === tab) ?? (SECTIONS[0] as (typeof SECTIONS)[number]);
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

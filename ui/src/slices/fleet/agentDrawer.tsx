/** One agent: its state and its settings. */
import { Drawer, NumberInput, Switch, TagsInput } from '@mantine/core';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { type ReactNode, useState } from 'react';
import { type Agent, type AgentConfig, agentConfigQuery, setAgentConfig } from '@/api/fleet';
import { itemsQuery } from '@/api/inventory';
import { instantQuery } from '@/api/telemetry';
import { Guarded } from '@/parts/action';
import { Ago } from '@/parts/ago';
import { format, type Unit } from '@/parts/number';
import { Shown } from '@/parts/states';
import { StatusBadge } from '@/parts/status';
import { complain, say } from '@/parts/toast';
import { presence } from './presence';

export function AgentDrawer({ agent, close }: { agent: Agent | null; close: () => void }) {
  return (
    <Drawer
      opened={agent !== null}
      onClose={close}
      position="right"
      size={460}
      title={agent ? `Agent of ${agent.name}` : 'Agent'}
      closeButtonProps={{ 'aria-label': 'Close' }}
    >
      {agent && <Inner agent={agent} />}
    </Drawer>
  );
}

const MEASURES: [string, (on: string) => string, Unit][] = [
  ['CPU', (on) => `rate(mainstay_agent_cpu_seconds_total{${on}}[1m])`, 'percent'],
  ['Memory', (on) => `mainstay_agent_resident_memory_bytes{${on}}`, 'bytes'],
  ['Spooled on disk, to be sent', (on) => `mainstay_agent_spool_bytes{${on}}`, 'bytes'],
  ['Batches dropped while offline', (on) => `mainstay_agent_dropped_batches_total{${on}}`, 'plain'],
  ['Clock offset', (on) => `mainstay_agent_clock_offset_seconds{${on}}`, 'seconds'],
];

function Inner({ agent }: { agent: Agent }) {
  const config = useQuery(agentConfigQuery(agent.id));
  const state = presence(agent);
  return (
    <>
      <div className="line">
        <StatusBadge status={state.status} pill>
          {state.word}
        </StatusBadge>
        <Link to="/hosts/$id" params={{ id: agent.item_id }} className="link">
          Open host
        </Link>
      </div>
      <Fact name="Last seen">
        <Ago at={agent.heard_at} />
      </Fact>
      <Fact name={`${state.word.charAt(0).toUpperCase()}${state.word.slice(1)} since`}>
        <Ago at={agent.presence_at} />
      </Fact>
      <Fact name="Version">
        <span className="mono">{agent.version}</span>
      </Fact>
      <Fact name="Address">
        <span className="mono">{agent.address}</span>
      </Fact>
      <Fact name="Joined">
        <Ago at={agent.joined_at} />
      </Fact>
      <Fact name="Certificate expires">
        <Ago at={agent.certificate_expires_at} />
      </Fact>
      {MEASURES.map(([name, expr, unit]) => (
        <Measure key={name} name={name} expr={expr(`instance=${JSON.stringify(agent.name)}`)} unit={unit} />
      ))}
      <h3 style={{ padding: '16px 14px 4px' }}>
        Settings <span className="faint small">{agent.has_own_config ? 'set for this host' : 'defaults'}</span>
      </h3>
      <Shown query={config} what="The settings">
        {(held) => <Settings key={JSON.stringify(held)} agent={agent} held={held} />}
      </Shown>
    </>
  );
}

function Fact({ name, children }: { name: string; children: ReactNode }) {
  return (
    <div className="line">
      <span className="muted">{name}</span>
      {children}
    </div>
  );
}

function Measure({ name, expr, unit }: { name: string; expr: string; unit: Unit }) {
  const value = useQuery({ ...instantQuery(expr, 5000), retry: false }).data?.[0]?.points[0]?.[1];
  return value === undefined ? null : (
    <Fact name={name}>
      <span className="num">{format(value, unit)}</span>
    </Fact>
  );
}

const MIB = 1024 * 1024;

function Settings({ agent, held }: { agent: Agent; held: AgentConfig }) {
  const queries = useQueryClient();
  const services = useQuery(itemsQuery(`kind=service on=${JSON.stringify(agent.name)}`, 500)).data?.items ?? [];
  const [draft, setDraft] = useState(held);
  const [busy, setBusy] = useState(false);
  const put = <K extends keyof AgentConfig>(key: K, value: AgentConfig[K]) => setDraft({ ...draft, [key]: value });
  const dirty = JSON.stringify(draft) !== JSON.stringify(held);
  const save = async () => {
    setBusy(true);
    try {
      await setAgentConfig(agent.id, draft);
      say(agent.presence === 'connected' ? 'Saved and applied' : 'Saved; applied when the agent connects');
      void queries.invalidateQueries({ queryKey: ['agents'] });
    } catch (error) {
      complain(error, 'Not saved');
    }
    setBusy(false);
  };
  return (
    <form
      style={{ padding: '4px 14px 20px', display: 'grid', gap: 12 }}
      onSubmit={(event) => {
        event.preventDefault();
        void save();
      }}
    >
      <TagsInput
        label="Watched services"
        description="An alert fires as soon as one stops, even if it was stopped on purpose."
        data={services.map((s) => s.name)}
        value={draft.watched_services}
        onChange={(v) => put('watched_services', v)}
      />
      <TagsInput
        label="Log files"
        description="Globs of the files to follow."
        value={draft.log_files}
        onChange={(v) => put('log_files', v)}
      />
      <Switch
        label="Read the systemd journal"
        checked={draft.journal}
        onChange={(e) => put('journal', e.currentTarget.checked)}
      />
      <TagsInput
        label="Certificates"
        description="Files and folders to scan for certificates."
        value={draft.certificate_paths}
        onChange={(v) => put('certificate_paths', v)}
      />
      <div className="row" style={{ alignItems: 'flex-start' }}>
        <NumberInput
          label="Sample interval (ms)"
          min={100}
          max={3_600_000}
          step={500}
          value={draft.sample_interval_ms}
          onChange={(v) => put('sample_interval_ms', typeof v === 'number' ? v : 1000)}
        />
        <NumberInput
          label="Offline spool (MiB)"
          min={1}
          max={65_536}
          step={64}
          value={Math.round(draft.spool_bytes / MIB)}
          onChange={(v) => put('spool_bytes', (typeof v === 'number' ? v : 256) * MIB)}
        />
      </div>
      <div>
        <Guarded
          permission="agents.write"
          type="submit"
          tone="primary"
          busy={busy}
          refusal={dirty ? null : 'No changes to save.'}
        >
          Save for {agent.name}
        </Guarded>
      </div>
    </form>
  );
}

/** A channel, new or changed: where it leads, what it takes, and its wording. */
import { MultiSelect, SegmentedControl, Select, Textarea, TextInput } from '@mantine/core';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { teamsQuery } from '@/api/access';
import { type Channel, changeChannel, createChannel, type PageKind, type Subscription } from '@/api/notify';
import { FormDialog } from '@/parts/dialog';
import { say } from '@/parts/toast';
import { ChannelFields, type Fields, fromChannel, type Kind, toConfig } from './channelFields';

const KINDS: { value: PageKind; label: string }[] = [
  { value: 'incident_opened', label: 'Incident opened' },
  { value: 'incident_updated', label: 'Incident updated' },
  { value: 'incident_resolved', label: 'Incident resolved' },
  { value: 'run_waiting', label: 'Run awaiting approval' },
  { value: 'run_finished', label: 'Run finished' },
];

const ANY: Subscription = { min_severity: 'warning', kinds: [], teams: [] };

export function ChannelDialog({ channel, close }: { channel?: Channel; close: () => void }) {
  const queries = useQueryClient();
  const held = channel && fromChannel(channel);
  const [kind, setKind] = useState<Kind>(channel?.config.type ?? 'email');
  const [fields, setFields] = useState<Fields>(held?.fields ?? { port: '587', security: 'starttls' });
  const [to, setTo] = useState<string[]>(held?.to ?? []);
  const [takes, setTakes] = useState<Subscription>(channel?.subscription ?? ANY);
  const [wording, setWording] = useState({
    title_template: channel?.title_template ?? '',
    text_template: channel?.text_template ?? '',
  });
  const submit = async () => {
    const name = fields.name ?? '';
    const { config, secrets } = toConfig(kind, fields, to);
    // What the form does not show stays as it is.
    const whole = channel && config.type === channel.config.type ? { ...channel.config, ...config } : config;
    if (channel) await changeChannel(channel.id, { name, config: whole, secrets, subscription: takes, ...wording });
    else await createChannel({ name, config, secrets, is_enabled: true, subscription: takes, ...wording });
    void queries.invalidateQueries({ queryKey: ['channels'] });
    say(channel ? 'Saved; send a test' : 'Added; send a test');
  };
  return (
    <FormDialog
      title={channel ? `Edit ${channel.name}` : 'Add channel'}
      open
      close={close}
      size={560}
      verb={channel ? 'Save' : 'Add channel'}
      submit={submit}
    >
      {(fault) => (
        <>
          {!channel && (
            <SegmentedControl
              size="xs"
              aria-label="Kind"
              value={kind}
              onChange={(v) => setKind(v as Kind)}
              data={[
                { value: 'email', label: 'E-mail' },
                { value: 'webhook', label: 'Webhook' },
                { value: 'slack', label: 'Slack' },
                { value: 'matrix', label: 'Matrix' },
              ]}
            />
          )}
          <TextInput
            label="Name"
            required
            data-autofocus
            value={fields.name ?? ''}
            onChange={(e) => setFields({ ...fields, name: e.currentTarget.value })}
            error={fault('name')}
          />
          <ChannelFields
            kind={kind}
            fields={fields}
            setFields={setFields}
            to={to}
            setTo={setTo}
            fault={fault}
            kept={channel?.secrets_set ?? []}
          />
          <Takes takes={takes} set={setTakes} />
          <details open={wording.title_template !== '' || wording.text_template !== ''}>
            <summary className="link" style={{ minHeight: 24 }}>
              Message templates
            </summary>
            <div style={{ display: 'grid', gap: 12, marginTop: 8 }}>
              <p className="muted">
                Empty: the default text. <span className="mono">{'{{ title }}'}</span>,{' '}
                <span className="mono">text</span>, <span className="mono">severity</span>,{' '}
                <span className="mono">kind</span>, <span className="mono">team</span>,{' '}
                <span className="mono">url</span> and the list <span className="mono">fields</span> (name, value) can be
                used; the language is Jinja.
              </p>
              <TextInput
                label="Title"
                placeholder="{{ severity }}: {{ title }}"
                value={wording.title_template}
                onChange={(e) => setWording({ ...wording, title_template: e.currentTarget.value })}
                error={fault('title_template')}
                styles={MONO}
              />
              <Textarea
                label="Text"
                autosize
                minRows={3}
                placeholder={'{{ text }}\n{% for f in fields %}{{ f.name }}: {{ f.value }}\n{% endfor %}{{ url }}'}
                value={wording.text_template}
                onChange={(e) => setWording({ ...wording, text_template: e.currentTarget.value })}
                error={fault('text_template')}
                styles={MONO}
              />
            </div>
          </details>
        </>
      )}
    </FormDialog>
  );
}

const MONO = { input: { fontFamily: 'var(--mono)', fontSize: 12 } };

function Takes({ takes, set }: { takes: Subscription; set: (takes: Subscription) => void }) {
  const teams = useQuery(teamsQuery).data?.items ?? [];
  return (
    <>
      <Select
        label="Minimum severity"
        data={['info', 'warning', 'critical']}
        value={takes.min_severity}
        onChange={(v) => set({ ...takes, min_severity: (v ?? 'warning') as Subscription['min_severity'] })}
      />
      <MultiSelect
        label="Event types"
        placeholder={takes.kinds.length === 0 ? 'All' : undefined}
        data={KINDS}
        value={takes.kinds}
        onChange={(v) => set({ ...takes, kinds: v as PageKind[] })}
      />
      {teams.length > 0 && (
        <MultiSelect
          label="Teams"
          placeholder={takes.teams.length === 0 ? 'All, including unowned items' : undefined}
          data={teams.map((t) => ({ value: t.id, label: t.name }))}
          value={takes.teams}
          onChange={(v) => set({ ...takes, teams: v })}
        />
      )}
    </>
  );
}

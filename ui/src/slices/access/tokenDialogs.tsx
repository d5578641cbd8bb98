/** A new token, and a new service account. */
import { NumberInput, Select, TagsInput, TextInput } from '@mantine/core';
import { useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { createServiceAccount, createToken, type ServiceAccount } from '@/api/access';
import { FormDialog } from '@/parts/dialog';
import { say } from '@/parts/toast';

export function MakeToken({
  accounts,
  close,
  made,
}: {
  accounts: ServiceAccount[];
  close: () => void;
  made: (token: string) => void;
}) {
  const queries = useQueryClient();
  const [name, setName] = useState('');
  const [owner, setOwner] = useState<string | null>(null);
  const [days, setDays] = useState(90);
  const [only, setOnly] = useState<string[]>([]);
  return (
    <FormDialog
      title="Create token"
      open
      close={close}
      verb="Create token"
      submit={async () => {
        const created = await createToken({
          name,
          owner: owner ?? undefined,
          expires_in_days: days,
          permissions: only.length > 0 ? only : undefined,
        });
        made(created.token);
        void queries.invalidateQueries({ queryKey: ['tokens'] });
      }}
    >
      {(fault) => (
        <>
          <TextInput
            label="Name"
            required
            data-autofocus
            value={name}
            onChange={(e) => setName(e.currentTarget.value)}
            error={fault('name')}
          />
          <Select
            label="Owner"
            placeholder="You"
            clearable
            allowDeselect
            data={accounts.map((a) => ({ value: a.id, label: a.name }))}
            value={owner}
            onChange={setOwner}
            error={fault('owner')}
          />
          <TagsInput
            label="Scopes"
            description="Empty: all permissions of its owner. incidents.* matches by prefix."
            value={only}
            onChange={setOnly}
            error={fault('permissions')}
          />
          <NumberInput
            label="Expires in (days)"
            min={1}
            max={3650}
            value={days}
            onChange={(v) => setDays(typeof v === 'number' ? v : 90)}
            error={fault('expires_in_days')}
          />
        </>
      )}
    </FormDialog>
  );
}

export function AddAccount({ close }: { close: () => void }) {
  const queries = useQueryClient();
  const [name, setName] = useState('');
  const [description, setDescription] = useState('');
  return (
    <FormDialog
      title="Add service account"
      open
      close={close}
      verb="Add service account"
      submit={async () => {
        await createServiceAccount({ name, description });
        void queries.invalidateQueries({ queryKey: ['service-accounts'] });
        say('Added; grant a role next');
      }}
    >
      {(fault) => (
        <>
          <TextInput
            label="Name"
            required
            data-autofocus
            value={name}
            onChange={(e) => setName(e.currentTarget.value)}
            error={fault('name')}
          />
          <TextInput
            label="Description"
            value={description}
            onChange={(e) => setDescription(e.currentTarget.value)}
            error={fault('description')}
          />
        </>
      )}
    </FormDialog>
  );
}

{% test is_keyed_by(
    model, columns, numbered_by=none, promises=[], is_within_contract=false,
    batch_column=none, month_column=none
) %}

{%- set keys = columns | reject('equalto', numbered_by) | list -%}
{%- set groups = keys + (
    ['shiftright(' ~ numbered_by ~ ', 6)'] if numbered_by else []
) -%}
{%- set checks = ["'; '"] -%}
{%- set bounds = contract_bounds(model) if is_within_contract else [] -%}
{%- for promise in promises + bounds -%}
    {%- do checks.append(
        'if(bool_and(coalesce(' ~ promise ~ ', false)), null, '
        ~ text_literal(promise) ~ ')'
    ) -%}
{%- endfor %}

with

keys as (

    select
        {{ keys | join(', ') }},
        {%- if numbered_by %}
        min({{ numbered_by }}) as first_{{ numbered_by }},
        -- 64 numbers that follow each other are the bits of one: a row each, or two
        -- have one number
        bit_count(
            coalesce(bit_or(shiftleft(1L, cast({{ numbered_by }} & 63 as int))), 0)
        ) as keys_found,
        {%- else %}
        1 as keys_found,
        {%- endif %}
        count(*) as rows_found,
        concat_ws({{ checks | join(', ') }}) as broken_promises

    from {{ model }}

    where {{ is_audited(batch_column, month_column) }}

    group by {{ groups | join(', ') }}

)

select *

from keys

where
    rows_found > keys_found
    or broken_promises <> ''
    {% for column in keys -%}
    or {{ column }} is null
    {% endfor %}

{% endtest %}

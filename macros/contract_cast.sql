{% macro contract_cast(text, data_type) -%}
    {%- set value = 'trim(' ~ text ~ ')' -%}
    {%- set base = data_type.split('(')[0] -%}
    {%- if base == 'string' -%}
        if(
            {{ is_empty_text(trimmed(text), is_trimmed=true) }},
            null,
            {{ trimmed(text) }}
        )
    {%- elif base in ('int', 'bigint') -%}
        if(startswith({{ value }}, '+'), null, try_cast({{ value }} as {{ data_type }}))
    {%- elif base == 'decimal' -%}
        if(
            {{ is_plain_decimal(value, data_type) }},
            try_cast({{ value }} as {{ data_type }}),
            null
        )
    {%- elif base == 'date' -%}
        if(
            cast(try_cast({{ value }} as date) as string) = {{ value }}
            and {{ value }} between '0001-01-01' and '9999-12-31',
            try_cast({{ value }} as date),
            null
        )
    {%- elif base == 'boolean' -%}
        try_cast({{ value }} as boolean)
    {%- else -%}
        {{ exceptions.raise_compiler_error(
            "contract_cast: data_type '" ~ data_type
            ~ "' is none of int, bigint, decimal(p,s), date, boolean, string"
        ) }}
    {%- endif -%}
{%- endmacro %}

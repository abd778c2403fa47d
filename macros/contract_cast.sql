{% macro contract_cast(text, data_type) -%}
    {%- set base = data_type.split('(')[0] -%}
    {%- if base == 'string' -%}
        if({{ is_empty_text(text, is_trimmed=true) }}, null, {{ text }})
    {%- elif base in ('int', 'bigint') -%}
        try_cast({{ text }} as {{ data_type }})
    {%- elif base == 'decimal' -%}
        if(
            {{ is_plain_decimal(text, data_type) }},
            try_cast({{ text }} as {{ data_type }}),
            null
        )
    {%- elif base == 'date' -%}
        if(
            cast(try_cast({{ text }} as date) as string) = {{ text }}
            and {{ text }} between '0001-01-01' and '9999-12-31',
            try_cast({{ text }} as date),
            null
        )
    {%- elif base == 'boolean' -%}
        case
            when lower({{ text }}) in ('true', 't', 'yes', 'y', '1') then true
            when lower({{ text }}) in ('false', 'f', 'no', 'n', '0') then false
        end
    {%- else -%}
        {{ exceptions.raise_compiler_error(
            "contract_cast: data_type '" ~ data_type
            ~ "' is none of int, bigint, decimal(p,s), date, boolean, string"
        ) }}
    {%- endif -%}
{%- endmacro %}

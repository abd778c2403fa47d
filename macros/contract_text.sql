{% macro contract_text(text, data_type) -%}
    {%- set base = data_type.split('(')[0] -%}
    {%- if base in ('int', 'bigint', 'decimal', 'date') -%}
        {#- nearly every text is plain, and the last character is dearer than a cast -#}
        {%- set is_plain = has_plain_ends(text) if base == 'decimal'
            else 'cast(try_cast(' ~ text ~ ' as ' ~ base ~ ') as string) = ' ~ text -%}
        case
            when {{ is_plain }} then {{ text }}
            when {{ has_plain_ends(without_blanks(text)) }}
                then {{ without_blanks(text) }}
        end
    {%- else -%}
        {{ trimmed(text) }}
    {%- endif -%}
{%- endmacro %}

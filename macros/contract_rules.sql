{% macro contract_rules() %}
    {%- set rules = [] -%}
    {%- for column in contract_columns() -%}
        {%- set value = 'sales.' ~ column.name -%}
        {%- set raw = 'sales.raw_' ~ column.name -%}
        {%- set found = "'***'" if column.is_personal
            else 'concat("\'", left(' ~ raw ~ ", 60), \"'\")" -%}
        {%- if column.is_required -%}
            {%- do rules.append({
                'code': 'empty_' ~ column.name,
                'severity': 'reject',
                'when': value ~ ' is null' ~ ('' if column.data_type == 'string' else ' and ' ~ is_empty_text(raw)),
                'words': "'" ~ column.name ~ " is empty; expected " ~ type_in_words(column.data_type) ~ "'",
            }) -%}
        {%- endif -%}
        {%- if column.data_type != 'string' -%}
            {%- do rules.append({
                'code': 'invalid_' ~ column.name,
                'severity': 'reject',
                'when': value ~ ' is null and not ' ~ is_empty_text(raw),
                'words': "concat('" ~ column.name ~ ': expected ' ~ type_in_words(column.data_type)
                    ~ ", found ', " ~ found ~ ')',
            }) -%}
        {%- endif -%}
        {%- for bound, sign, limit in [('minimum', '<', 'least'), ('maximum', '>', 'most')]
            if column[bound] is not none -%}
            {%- do rules.append({
                'code': 'out_of_range_' ~ column.name,
                'severity': 'reject',
                'when': value ~ ' ' ~ sign ~ " cast('" ~ column[bound] ~ "' as " ~ column.data_type ~ ')',
                'words': "concat('" ~ column.name ~ ': expected at ' ~ limit ~ ' ' ~ column[bound]
                    ~ ", found ', " ~ found ~ ')',
            }) -%}
        {%- endfor -%}
    {%- endfor -%}
    {{ return(rules) }}
{% endmacro %}
